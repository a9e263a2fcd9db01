"""Portable anymaps (PBM, PGM, PPM) as text, or with another range than 8 or 16 bits.

    if is_slow(image):
        image = read_anymap(image, file)

Pillow reads these number by number: a megapixel takes a second, and comments between the numbers minutes.
"""

from __future__ import annotations

import re
from typing import BinaryIO

import numpy as np
from PIL import Image

_COMMENT = re.compile(rb"#[^\r\n]*")
_SPACE = b" \t\n\x0b\x0c\r"
_TEXT_BYTES, _BLOCK_BYTES = 150 << 20, 1 << 20


def is_slow(image: Image.Image) -> bool:
    """Whether Pillow would decode it in Python. image: opened, not decoded."""
    return (
        image.format == "PPM"
        and image.tile[0][0] in ("ppm", "ppm_plain")
        and image.mode in ("1", "L", "I", "RGB")
    )


def read_anymap(image: Image.Image, file: BinaryIO) -> Image.Image:
    """The pixels, scaled to 8 bits by the range that the header names: "L" or "RGB".

    image: the header. Raises ValueError where a number is missing or too large.
    """
    decoder, _, offset, args = image.tile[0]
    width, height = image.size
    bands = len(image.getbands())
    maxval = 1 if image.mode == "1" else args[-1] if isinstance(args, tuple) else args
    count = width * height * bands
    file.seek(offset)
    if decoder == "ppm":
        kind = np.dtype(np.uint8 if maxval < 256 else ">u2")
        values = np.frombuffer(file.read(count * kind.itemsize), kind)
    else:
        values = _numbers(_without_comments(file), one_digit=image.mode == "1")
    if len(values) < count:
        raise ValueError(f"{len(values):,} numbers of {count:,}")
    values = values[:count].reshape(height, width * bands)
    if values.max() > maxval or values.min() < 0:
        raise ValueError(f"a number that is not in 0 to {maxval}")
    scaled = np.rint(np.arange(maxval + 1) * 255 / maxval).astype(np.uint8)
    scaled = 255 - scaled if image.mode == "1" else scaled  # 1 is black there
    pixels = np.empty((height, width * bands), np.uint8)
    for row, numbers in zip(pixels, values, strict=True):  # an index takes 8 bytes: a row of them at a time
        row[:] = scaled[numbers]
    return Image.fromarray(pixels.reshape((height, width, bands) if bands > 1 else (height, width)))


def _without_comments(file: BinaryIO) -> bytes:
    """The rest of the file without what stands from a # to the end of its line, block by block."""
    kept, inside = bytearray(), False
    while len(kept) < _TEXT_BYTES and (block := file.read(_BLOCK_BYTES)):
        block = b"#" + block if inside else block
        inside = block.rfind(b"#") > max(block.rfind(b"\n"), block.rfind(b"\r"))
        kept += _COMMENT.sub(b"", block)
    return bytes(kept)


def _numbers(text: bytes, *, one_digit: bool) -> np.ndarray:
    if one_digit:  # white space between them may be left out
        return np.frombuffer(text.translate(None, _SPACE), np.uint8) - np.uint8(48)
    if text.translate(None, _SPACE + b"0123456789"):  # NumPy before 2.3 warns of it and goes on
        raise ValueError("not a number")
    return np.fromstring(text, np.int64, sep=" ")  # any white space
