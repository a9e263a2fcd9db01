"""What a picture costs to decode, known from its header, and how to decode it smaller where that is too much.

    reduce(image, halvings(image, file_bytes=…, scans=1, turned=False))     # raises TooLargeError

The bound is memory, about which decoders are honest; what they need in time follows it, but for JPEG 2000 and
JPEGs of many scans. Measured with Pillow 12.3: at a bound none takes over 500 MB, the process included.
"""

from __future__ import annotations

import re

from PIL import Image

MAX_PIXELS = 89_000_000  # just below the size at which Pillow itself begins to warn of a decompression bomb
_BUDGET = 400_000_000  # bytes; 60 to 80 million are the process itself, by what its libraries map
_HELD = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2}
"""Bytes that Pillow holds a pixel in; 4 in other modes, and for an RGB picture."""
_DECODING = {"WEBP": 17, "AVIF": 16, "HEIF": 8.6, "JPEG2000": 21}
"""Bytes a pixel while decoding, where decoders hold the picture several times, and the whole file."""
_SLOW = {"bmp_rle": 50, "ppm": 14, "ppm_plain": 40}
"""The same by decoder: what would take over 3 s, or holds numbers."""
_REDUCIBLE = ("JPEG", "MPO", "JPEG2000")
_JPEG2000_PX = 6_000_000  # in 3 s
_MARK = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd8]", re.DOTALL)  # what a JPEG's segments begin with
_SCANNED_PX = 1_200_000_000  # pixels times scans, in 3 s


class TooLargeError(ValueError):
    """A picture that would take too much memory or time; a clause that says where the limit is."""


def halvings(image: Image.Image, *, file_bytes: int, scans: int, turned: bool) -> int:
    """How often the sides must be halved while decoding: 0 for nearly every picture.

    image: opened, not decoded. scans: of a JPEG. turned: whether it is to be turned upright.
    Raises TooLargeError where the format cannot be decoded smaller, or not small enough.
    """
    width, height = image.size
    full = width * height
    for times in range(4 if image.format in _REDUCIBLE else 1):
        pixels = full >> (2 * times)
        needed = _bytes_needed(image, full, pixels, file_bytes, scans) if image.format else 0
        needed = max(needed, 8 * pixels if turned else 0)
        if needed <= _BUDGET and not (image.format == "JPEG2000" and pixels > _JPEG2000_PX):
            return times
    most = _megapixels(int(full * _BUDGET / needed))
    raise TooLargeError(f"{width} x {height} is more than {most}, the most for such a {image.format}")


def reduce(image: Image.Image, times: int) -> None:
    """Have an opened picture decode with its sides halved so often, rounded up."""
    if times and image.format == "JPEG2000":
        image.reduce = times
    elif times:
        image.draft("RGB", (image.width >> times, image.height >> times))


def count_scans(image: Image.Image, data: bytes) -> int:
    """How often a JPEG goes over its picture; each of thousands of scans may take as long as the first.

    data: the whole file, or a map of it. Raises TooLargeError.
    """
    pixels, scans, position = image.width * image.height, 0, 2
    while (mark := _MARK.search(data, position)) and mark[0][1] != 0xD9:
        scans += mark[0][1] == 0xDA
        if scans * pixels > _SCANNED_PX:
            raise TooLargeError(f"it goes over its {_megapixels(pixels)} more than {scans - 1} times")
        position = mark.end() + int.from_bytes(data[mark.end() : mark.end() + 2], "big")
    return scans


def _bytes_needed(image: Image.Image, full: int, pixels: int, file_bytes: int, scans: int) -> float:
    """At the most, for decoding `pixels` of `full` and making them RGB."""
    held = _HELD.get(image.mode, 4)
    decoder, args = (image.tile[0][0], image.tile[0][3]) if image.tile else ("", ())
    decoding = _DECODING.get(image.format, _SLOW.get(decoder, held)) * pixels
    if image.format in _DECODING or decoder == "libtiff":
        decoding += file_bytes
    if decoder == "libtiff":
        bits = image.tag_v2.get(258, 8)
        raw = (sum(bits) if isinstance(bits, tuple) else bits) / 8  # bytes a pixel in the file
        decoding += max(held, raw) * _strip_px(image)
        decoding *= 3 if image.info.get("compression") == "lzma" else 1  # for its time
    elif image.format == "PNG" and held == 4 and ";16" in str(args):
        decoding = 8 * pixels  # for its time
    elif scans > 1:
        decoding += _coefficients(image) * full
    plain = image.mode == "RGB" and "transparency" not in image.info
    return max(decoding, (held + (0 if plain else 4)) * pixels)


def _strip_px(image: Image.Image) -> int:
    """The pixels of the part that libtiff unpacks in one go."""
    tags, (width, height) = image.tag_v2, image.size
    if 322 in tags and 323 in tags:
        return min(int(tags[322]) * int(tags[323]), width * height)
    return width * min(int(tags.get(278, height)), height)


def _coefficients(image: Image.Image) -> float:
    """Bytes a pixel that the coefficients of a JPEG of several scans take, until the last."""
    layers = image.layer  # of each channel its number, and how densely it is sampled
    dense = max(h for _, h, _, _ in layers) * max(v for _, _, v, _ in layers)
    return 2 * sum(h * v for _, h, v, _ in layers) / dense


def _megapixels(pixels: int) -> str:
    return f"{pixels // 1_000_000} megapixels"
