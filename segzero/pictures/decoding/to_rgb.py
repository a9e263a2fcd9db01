"""The pixels of a decoded picture, in whatever mode, as 8-bit RGB, a strip at a time.

rgb = to_rgb(image)                     # transparency over white; same size
rgb = to_rgb(image, bits=12)            # grey in which 12 bits count

A strip at a time, because a picture may be large: what is in between would take several times its memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

_STRIP_PX = 1 << 20
_ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")
# What a picture of fewer bits reaches in a file of 16 when nothing says how many count. 12 are what cameras
# and scanners write, and their lights may be short of white; 10 or 14 must be white, or are a dark 16.
_REACHES = ((10, 1008), (12, 3072), (14, 16128))
_DEPTHS = (8, 10, 12, 14, 16, 24, 32)


def to_rgb(image: Image.Image, bits: int | None = None) -> Image.Image:
    """A new RGB picture of the same size; a decoded RGB picture itself.

    bits: how many of a grey of more than 8 bits count, by its file; None estimates it from what is there.
    """
    image.load()
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    convert = _deep(image, bits) if image.mode.startswith("I") else _over_white if _clear(image) else _plain
    rgb = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        rgb.paste(convert(strip), (0, top))
    return rgb


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The first row of each strip, and the strip."""
    width, height = image.size
    rows = max(1, _STRIP_PX // width)
    for top in range(0, height, rows):
        yield top, image.crop((0, top, width, min(top + rows, height)))


def _clear(image: Image.Image) -> bool:
    return image.mode in _ALPHA or "transparency" in image.info


def _plain(strip: Image.Image) -> Image.Image:
    return strip.convert("RGB")


def _over_white(strip: Image.Image) -> Image.Image:
    rgba = strip.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _deep(image: Image.Image, bits: int | None) -> Callable[[Image.Image], Image.Image]:
    """How to show a grey of more than 8 bits, in one of Pillow's ways to hold it: its upper 8 that count."""
    shift = max(0, _bits_that_count(image, bits) - 8)

    def show(strip: Image.Image) -> Image.Image:
        deep = np.asarray(strip)  # (H, W) of 16 or 32 bits
        return Image.fromarray(np.clip(deep >> shift, 0, 255).astype(np.uint8))

    return show


def _bits_that_count(image: Image.Image, said: int | None) -> int:
    most = max(int(np.asarray(strip).max()) for _, strip in _strips(image))
    if said is not None and most < 1 << said:
        return said
    if image.mode == "I" and image.format != "PPM":  # 32 bits, which nothing fills: by what is there
        return next(depth for depth in _DEPTHS if most < 1 << depth)
    if image.format is None and most < 256:  # made by a program, which has nowhere to say that it holds 8
        return 8
    return next((depth for depth, least in _REACHES if least <= most < 1 << depth), 16)
