"""What Pillow does not say of a PNG: how many of its bits count, and whether all its rows are there.

significant_bits(file)              # 12 of 16, say
lacks_rows(file, image)             # after image.load()
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of each pass of an interlaced PNG the first column and row, and the steps to the next ones."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_PIECE = 1 << 20


def significant_bits(file: BinaryIO) -> int | None:
    """The fewest bits that sBIT says count in a channel; None where there is no such chunk."""
    for kind, length in _chunks(file):
        if kind == b"sBIT":
            return min(file.read(length)[:4], default=None)
        if kind == b"IDAT":
            return None
    return None


def lacks_rows(file: BinaryIO, image: Image.Image) -> bool:
    """Whether the pixel data of a PNG ends, in good order, before its last row: Pillow leaves the rest at 0.

    image: the same, decoded. The data is unpacked again only where it can be so: when the last row is 0, or
    the rows are interlaced.
    """
    width, height = image.size
    last = image.crop((0, height - 1, width, height))
    if not image.info.get("interlace") and any(last.tobytes()):
        return False
    wanted = 0
    unpacker, unpacked = zlib.decompressobj(), 0
    for kind, length in _chunks(file):
        if kind == b"IHDR":
            wanted = _unpacked_bytes(file.read(13))
        while kind == b"IDAT" and length > 0 and not unpacker.eof:
            piece = file.read(min(length, _PIECE))
            length -= len(piece)
            if not piece:
                return True
            while piece:
                unpacked += len(unpacker.decompress(piece, _PIECE))
                piece = unpacker.unconsumed_tail
    return unpacked + len(unpacker.flush()) < wanted


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The kind and length of each chunk, the file standing at its data."""
    position = 8
    while True:
        file.seek(position)
        header = file.read(8)
        if len(header) < 8 or header[4:] == b"IEND":
            return
        (length,) = struct.unpack(">I", header[:4])
        yield header[4:], length
        position += 12 + length


def _unpacked_bytes(ihdr: bytes) -> int:
    """How many bytes the rows have, each with the one that names its filter."""
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", ihdr)
    bits = depth * _CHANNELS[color]
    total = 0
    for left, top, right, down in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        total += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    return total
