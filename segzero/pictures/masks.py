"""Masks as data files hold them: PNG, COCO run lengths, or COCO polygons.

    from segzero.pictures import read_mask
    mask = read_mask({"size": [480, 640], "counts": "…"}, folder=Path("photos"), wh=(640, 480))  # (H, W) bool

The files may come from anywhere: whatever is in them, nothing but MaskError comes out.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from segzero.pictures.paths import OutsideError, path_inside


class MaskError(ValueError):
    """A mask that cannot be used: one line that says why."""


def read_mask(entry: object, folder: Path, wh: tuple[int, int]) -> np.ndarray:
    """(H, W) bool from what a file says about one object of a picture of size `wh`; never empty.

    entry: the name of a PNG inside `folder`, whose pixels other than 0 are the object; COCO run lengths,
        {"size": [H, W], "counts": string or list}; or COCO polygons, [[x1, y1, x2, y2, …], …].
    Raises MaskError.
    """
    if isinstance(entry, str):
        mask = _from_png(entry, folder, wh)
    elif isinstance(entry, dict):
        if entry.get("size") != [wh[1], wh[0]]:
            raise MaskError(f"the size is not the upright picture's (height, width), {[wh[1], wh[0]]}")
        mask = decode_rle({**entry, "size": [wh[1], wh[0]]})
    elif isinstance(entry, list):
        mask = _from_polygons(entry, wh)
    else:
        raise MaskError("a mask is a file's name, run lengths or polygons")
    if not mask.any():
        raise MaskError("a mask without a pixel")
    return mask


def decode_rle(rle: dict[str, Any]) -> np.ndarray:
    """(H, W) bool from COCO run lengths. Raises MaskError when they do not fill their size exactly.

    pycocotools decodes runs that fall short into whatever its memory held before, so they are added up here.
    """
    height, width = rle["size"]
    counts = rle.get("counts")
    runs = _unpacked(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise MaskError("run lengths that are not numbers")
    if sum(runs) != height * width:
        raise MaskError(f"run lengths of {sum(runs)} pixels in all, the size has {height * width}")
    values = np.arange(len(runs)) % 2 == 1  # runs of background and object take turns
    return np.repeat(values, runs).reshape(width, height).T


def _unpacked(text: str) -> list[int]:
    """COCO's string of run lengths: 5 bits a character, low first; differences from the fourth run on."""
    runs: list[int] = []
    value = shift = 0
    for char in text:
        code = ord(char) - 48
        if not 0 <= code < 64 or shift > 60:
            raise MaskError("run lengths that are not COCO's")
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise MaskError("run lengths cut off in the middle of a number")
    return runs


def _from_polygons(polygons: list, wh: tuple[int, int]) -> np.ndarray:
    width, height = wh
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise MaskError(
                "polygons are lists of at least three x, y pairs: [[x1, y1, x2, y2, x3, y3, …], …]"
            )
        if not all(type(v) in (int, float) and math.isfinite(v) for v in polygon):
            raise MaskError("a polygon with something that is no number")
        xs, ys = polygon[::2], polygon[1::2]
        if not (-width <= min(xs) <= max(xs) <= 2 * width and -height <= min(ys) <= max(ys) <= 2 * height):
            raise MaskError("a polygon far outside the picture")  # drawing it would take memory without end
    if not polygons:
        raise MaskError("a mask without a polygon")
    return coco.decode(coco.merge(coco.frPyObjects(polygons, height, width))).astype(bool)


def _from_png(name: str, folder: Path, wh: tuple[int, int]) -> np.ndarray:
    try:
        path = path_inside(folder, name)
        with Image.open(path, formats=("PNG",)) as image:
            if image.size != wh:  # seen in the header: nothing is decoded yet
                raise MaskError(f"{name} has {image.size} pixels, the upright picture {wh} (width, height)")
            alpha = image.mode in ("LA", "RGBA")
            pixels = np.asarray(image)
    except MaskError:
        raise
    except OutsideError as error:
        raise MaskError(str(error)) from error
    except FileNotFoundError as error:
        raise MaskError(f"there is no file {name}") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise MaskError(f"{name} cannot be read as PNG") from error
    if alpha:  # white on nothing is as good as white on black
        return pixels[..., :-1].any(axis=2) & (pixels[..., -1] > 0)
    return pixels.any(axis=2) if pixels.ndim == 3 else pixels != 0
