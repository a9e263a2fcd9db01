"""Masks as data files hold them: PNG, COCO run lengths, or COCO polygons.

    from segzero.pictures import read_mask
    mask = read_mask({"size": [480, 640], "counts": "…"}, folder=Path("photos"), wh=(640, 480))  # (H, W) bool

The files may come from anywhere: whatever is in them, nothing but MaskError comes out.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from segzero.pictures.paths import OutsideError, path_inside
from segzero.pictures.picture import MAX_PIXELS

# Drawing costs memory and time along the outline, whatever the picture's size. No labelled object comes near.
_MAX_POLYGONS = 2_000
_MAX_OUTLINE_PX = 4_000_000
_MAX_CHARS = 13  # of one run in COCO's string


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
    height, width = _sides(rle.get("size"))
    area, counts = height * width, rle.get("counts")
    if isinstance(counts, str) and len(counts) > _MAX_CHARS * (area + 1):
        raise MaskError("run lengths of more numbers than the picture has pixels")
    runs = _unpacked(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise MaskError("run lengths that are not numbers")
    total = sum(runs)
    if total != area:
        told = f"{total} pixels" if total < 10 * MAX_PIXELS else "far more pixels"  # it may have 400 digits
        raise MaskError(f"run lengths of {told} in all, the size has {area}")
    values = np.arange(len(runs)) % 2 == 1  # runs of background and object take turns
    return np.repeat(values, runs).reshape(width, height).T


def _sides(size: object) -> tuple[int, int]:
    if (
        not isinstance(size, list)
        or len(size) != 2
        or not all(type(side) is int and side > 0 for side in size)
    ):
        raise MaskError("run lengths without their size, [height, width]")
    if size[0] * size[1] > MAX_PIXELS:
        raise MaskError(f"run lengths of more than {MAX_PIXELS // 1_000_000} megapixels")
    return size[0], size[1]


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
    if not polygons:
        raise MaskError("a mask without a polygon")
    if len(polygons) > _MAX_POLYGONS:
        raise MaskError(f"a mask of {len(polygons):,} polygons, more than {_MAX_POLYGONS:,}")
    outline_px = 0.0
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise MaskError(
                "polygons are lists of at least three x, y pairs: [[x1, y1, x2, y2, x3, y3, …], …]"
            )
        if not all(type(v) is int or type(v) is float and math.isfinite(v) for v in polygon):
            raise MaskError("a polygon with something that is no number")
        xs, ys = polygon[::2], polygon[1::2]
        if not (-width <= min(xs) <= max(xs) <= 2 * width and -height <= min(ys) <= max(ys) <= 2 * height):
            raise MaskError("a polygon far outside the picture")  # drawing it would take memory without end
        steps = np.abs(np.diff(np.array(polygon, np.float64).reshape(-1, 2), axis=0))
        outline_px += float(steps.max(axis=1).sum()) + len(xs)
    if outline_px > _MAX_OUTLINE_PX:
        raise MaskError(f"polygons with an outline of more than {_MAX_OUTLINE_PX:,} pixels")
    return coco.decode(coco.merge(coco.frPyObjects(polygons, height, width))).astype(bool)


def _from_png(name: str, folder: Path, wh: tuple[int, int]) -> np.ndarray:
    try:
        path = path_inside(folder, name)
    except OutsideError as error:
        raise MaskError(str(error)) from error
    if not path.exists():
        raise MaskError(f"there is no file {name}")
    if not path.is_file():  # opening a pipe would wait for ever
        raise MaskError(f"{name} cannot be read, it is not an ordinary file")
    return decode_png(path, name, wh)


def decode_png(source: Path | BinaryIO, name: str, wh: tuple[int, int] | None = None) -> np.ndarray:
    """(H, W) bool from a PNG: what is neither black, nor index 0 of a palette that is black there, nor clear.

    name: what messages call it. wh: the size that it has to have, if that is known. Raises MaskError.
    """
    try:
        with Image.open(source, formats=("PNG",)) as image:
            if image.size != (wh or image.size):  # seen in the header: nothing is decoded yet
                raise MaskError(f"{name} has {image.size} pixels, the upright picture {wh} (width, height)")
            if image.width * image.height > MAX_PIXELS:
                raise MaskError(f"{name} has more than {MAX_PIXELS // 1_000_000} megapixels")
            if image.mode == "P" and _colour_tells(image):
                image = image.convert("RGB")
            alpha = image.mode in ("LA", "RGBA")
            pixels = np.asarray(image)
    except MaskError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise MaskError(f"{name} cannot be read as PNG; save the mask as one") from error
    if not alpha:
        return pixels.any(axis=2) if pixels.ndim == 3 else pixels != 0
    seen = pixels[..., -1] > 0
    mask = pixels[..., :-1].any(axis=2) & seen  # white on nothing is as good as white on black
    return mask if mask.any() or seen.all() else seen  # a cut-out of something black


def _colour_tells(image: Image.Image) -> bool:
    """Whether a palette paints index 0 and keeps black for another that is used: numbers then say nothing."""
    palette = np.zeros((256, 3), np.uint8)
    colours = np.array(image.getpalette("RGB") or [], np.uint8)
    palette.flat[: len(colours)] = colours[: palette.size]
    black = ~palette[np.unique(np.asarray(image))].any(axis=1)
    return bool(palette[0].any() and black.any())
