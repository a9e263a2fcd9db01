"""Take a result away: as JSON that can be read back and drawn again, as mask pictures, as cut-outs.

    Path("answer.json").write_text(json.dumps(to_json(result)))
    overlay(image, from_json(json.loads(Path("answer.json").read_text()))).save("overlay.png")

The JSON, version 1:

    {"version": 1, "preset": "mini", "question": "…", "image": {"width": 640, "height": 480},
     "status": "ok", "problem": "", "thinking": "…", "raw": "…", "tokens": 64, "seconds": {"total": 1.1, …},
     "targets": [{"box_xyxy": [x1, y1, x2, y2], "points_xy": [[x, y]], "clicks": [[x, y, true]],
                  "score": 0.94, "mask": {"size": [480, 640], "counts": "…"}}]}

Boxes and points are in pixels of the upright picture. Clicks are the points of corrections, true to add and
false to remove. A mask is run-length encoded as in COCO, its size (H, W).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from segzero.geometry import Target
from segzero.result import Result

VERSION = 1


def to_json(result: Result) -> dict[str, Any]:
    """Everything about a result but its picture, in values that json.dumps takes."""
    width, height = result.image_wh
    return {
        "version": VERSION,
        "preset": result.preset,
        "question": result.question,
        "image": {"width": int(width), "height": int(height)},
        "status": result.status,
        "problem": result.problem,
        "thinking": result.thinking,
        "raw": result.raw,
        "tokens": result.tokens,
        "seconds": {name: float(seconds) for name, seconds in result.seconds.items()},
        "targets": [
            {
                "box_xyxy": [float(value) for value in target.box_xyxy],
                "points_xy": [[float(x), float(y)] for x, y in target.points_xy],
                "clicks": [[float(x), float(y), add] for (x, y), add in result.clicks.get(index, ())],
                "score": float(score),
                "mask": encode_mask(mask),
            }
            for index, (target, mask, score) in enumerate(
                zip(result.targets, result.masks, result.scores, strict=True)
            )
        ],
    }


def from_json(record: dict[str, Any], image: Image.Image | None = None) -> Result:
    """The inverse of to_json. With its upright RGB picture the result can be refined again.

    Raises ValueError when the record is not one, is of another version, or is about another size of picture.
    """
    if not isinstance(record, dict) or record.get("version") != VERSION:
        raise ValueError(f'Not a Seg-Zero result: expected an object with "version": {VERSION}.')
    try:
        result = _result(record)
    except (KeyError, TypeError) as error:
        raise ValueError(f"Not a Seg-Zero result: {type(error).__name__} at {error}.") from error
    if image is not None and image.size != result.image_wh:
        raise ValueError(
            f"The result is for a picture of {result.image_wh} pixels, this one has {image.size}."
        )
    return replace(result, picture=image)


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """mask (H, W) bool -> COCO run-length encoding, {"size": [H, W], "counts": str}."""
    encoded = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def decode_mask(encoded: dict[str, Any]) -> np.ndarray:
    """The inverse of encode_mask: (H, W) bool."""
    return coco.decode({"size": encoded["size"], "counts": encoded["counts"].encode("ascii")}).astype(bool)


def mask_image(mask: np.ndarray) -> Image.Image:
    """mask (H, W) bool -> a grey picture, 255 where the mask is and 0 elsewhere."""
    return Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0)))


def cutout(image: Image.Image, mask: np.ndarray) -> Image.Image:
    """The picture in RGBA, same size, transparent outside mask (H, W) bool."""
    picture = image.convert("RGB")
    picture.putalpha(mask_image(mask))
    return picture


def save_masks(result: Result, folder: str | Path) -> list[Path]:
    """Write mask-1.png, mask-2.png, … (one per object) and mask-all.png (their union); return the paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    named = [(f"mask-{number}.png", mask) for number, mask in enumerate(result.masks, start=1)]
    paths = []
    for name, mask in [*named, ("mask-all.png", result.mask)]:
        mask_image(mask).save(folder / name)
        paths.append(folder / name)
    return paths


def _result(record: dict[str, Any]) -> Result:
    width, height = record["image"]["width"], record["image"]["height"]
    objects = record["targets"]
    masks = [decode_mask(each["mask"]) for each in objects]
    if any(mask.shape != (height, width) for mask in masks):
        raise ValueError(f"Not a Seg-Zero result: a mask is not of the picture's size, {width} x {height}.")
    return Result(
        image_wh=(width, height),
        question=record["question"],
        preset=record["preset"],
        status=record["status"],
        problem=record["problem"],
        thinking=record["thinking"],
        raw=record["raw"],
        tokens=record["tokens"],
        targets=[
            Target(tuple(each["box_xyxy"]), tuple(tuple(point) for point in each["points_xy"]))
            for each in objects
        ],
        masks=np.stack(masks) if masks else np.zeros((0, height, width), bool),
        scores=np.array([each["score"] for each in objects], np.float32),
        seconds=dict(record["seconds"]),
        clicks={
            index: tuple(((x, y), add) for x, y, add in each["clicks"])
            for index, each in enumerate(objects)
            if each["clicks"]
        },
    )
