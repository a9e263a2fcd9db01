"""Read back what to_json wrote of a result, so that it can be drawn and refined again.

    overlay(image, from_json(json.loads(Path("answer.json").read_text()))).save("overlay.png")

The file may come from anywhere: whatever is in it, nothing but ValueError comes out, in one line.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PIL import Image

from segzero.contract import STAR, Point, Result, Target
from segzero.pictures.export import VERSION
from segzero.pictures.masks import decode_rle
from segzero.pictures.picture import MAX_PIXELS

_TEXTS = ("question", "preset", "status", "problem", "thinking", "raw")
_STATUSES = ("ok", "no_target", "unreadable")
_MOST = 1e9  # of seconds, tokens and scores: beyond any use


def from_json(record: dict[str, Any], image: Image.Image | None = None) -> Result:
    """The inverse of to_json. With its upright RGB picture the result can be refined again.

    Raises ValueError when the record is not one, is of another version, or is about another size of picture.
    """
    if not isinstance(record, dict) or record.get("version") != VERSION:
        raise ValueError(f'Not a Seg-Zero result: expected an object with "version": {VERSION}.')
    try:
        wh = _size(record["image"])
        if image is not None and image.size != wh:  # before masks of that size are made
            raise _OtherSize(f"The result is for a picture of {wh} pixels, this one has {image.size}.")
        return _result(record, wh, image)
    except _OtherSize:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        why = f"{type(error).__name__} at {error}" if isinstance(error, LookupError) else error
        raise ValueError(f"Not a Seg-Zero result: {why}.") from error


class _OtherSize(ValueError):
    """A result that is one, of another picture."""


def _result(record: dict[str, Any], wh: tuple[int, int], image: Image.Image | None) -> Result:
    objects = record["targets"]
    if not isinstance(objects, list) or len(objects) > STAR.max_targets:
        raise ValueError(f"its targets are no list of at most {STAR.max_targets}")
    if record["status"] not in _STATUSES:
        raise ValueError(f"its status is none of {', '.join(_STATUSES)}")
    seconds = {_text(name): _number(value, 0, _MOST) for name, value in record["seconds"].items()}
    if "total" not in seconds:
        raise ValueError("its seconds have no total")
    targets = [
        Target(
            _box(each["box_xyxy"], wh),
            tuple(_point(point, wh) for point in each["points_xy"]),
            _text(each.get("label", "")),  # results of before there were labels have none
        )
        for each in objects
    ]
    masks = [_mask(each["mask"], wh) for each in objects]
    clicks = {
        index: tuple((_point([x, y], wh), _flag(add)) for x, y, add in each["clicks"])
        for index, each in enumerate(objects)
        if each["clicks"]
    }
    return Result(
        image_wh=wh,
        **{name: _text(record[name]) for name in _TEXTS},
        tokens=int(_number(record["tokens"], 0, _MOST)),
        targets=targets,
        masks=np.stack(masks) if masks else np.zeros((0, wh[1], wh[0]), bool),
        scores=np.array([_number(each["score"], -_MOST, _MOST) for each in objects], np.float32),
        seconds=seconds,
        confidence=None if record.get("confidence") is None else _number(record["confidence"], 0, 1),
        clicks=clicks,
        picture=image,
    )


def _size(image: dict[str, Any]) -> tuple[int, int]:
    width, height = image["width"], image["height"]
    if not all(type(side) is int and side > 0 for side in (width, height)) or width * height > MAX_PIXELS:
        raise ValueError("its picture has a size that no picture has")
    return width, height


def _mask(encoded: dict[str, Any], wh: tuple[int, int]) -> np.ndarray:
    if encoded["size"] != [wh[1], wh[0]]:  # before anything of that size is made
        raise ValueError(f"a mask is not of the picture's size, {wh[0]} x {wh[1]}")
    return decode_rle(encoded)


def _box(values: Any, wh: tuple[int, int]) -> tuple[float, ...]:
    if not isinstance(values, list) or len(values) != 4:
        raise ValueError("a box is not four numbers")
    return (*_point(values[:2], wh), *_point(values[2:], wh))


def _point(values: Any, wh: tuple[int, int]) -> Point:
    """(x, y) in the picture, its far edges included."""
    if not isinstance(values, list) or len(values) != 2:
        raise ValueError("a point is not two numbers")
    return _number(values[0], 0, wh[0]), _number(values[1], 0, wh[1])


def _number(value: Any, least: float, most: float) -> float:
    if type(value) not in (int, float) or not (math.isfinite(value) and least <= value <= most):
        raise ValueError(f"{value!r:.40} is no number from {least:g} to {most:g}")
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("a click neither adds nor removes")
    return value


def _text(value: Any) -> str:
    """A text, half a character in it replaced: no file could hold it."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} is no text")
    return value.encode("utf-8", "replace").decode("utf-8")
