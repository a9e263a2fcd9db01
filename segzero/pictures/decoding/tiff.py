"""What Pillow misreads, or does not say, of a TIFF.

mend(image)                      # before it is decoded
significant_bits(image)          # 12 of 16, say
is_whole(image, file_bytes)      # whether its data can all be there
"""

from __future__ import annotations

from PIL import Image

_PHOTOMETRIC, _YCBCR = 262, 6
_MAX_SAMPLE_VALUE, _STRIPS, _TILES = 281, (273, 279), (324, 325)


def mend(image: Image.Image) -> None:
    """Read uncompressed YCbCr as it is, three bytes a pixel, where Pillow takes it for four.

    image: opened, not decoded. Raises ValueError where the colours are coarser than the pixels.
    """
    if image.tag_v2.get(_PHOTOMETRIC) != _YCBCR or image.tile[0][0] != "raw":
        return
    _, counts = _parts(image)
    if sum(counts) < 3 * image.width * image.height:
        raise ValueError("uncompressed YCbCr of fewer colours than pixels is not read")
    image._mode = "YCbCr"
    image.tile = [tile._replace(args=("YCbCr", *tile.args[1:])) for tile in image.tile]


def significant_bits(image: Image.Image) -> int | None:
    """How many bits MaxSampleValue takes; None where the file does not say."""
    most = image.tag_v2.get(_MAX_SAMPLE_VALUE)
    most = max(most) if isinstance(most, tuple) else most
    return int(most).bit_length() if most else None


def is_whole(image: Image.Image, file_bytes: int) -> bool:
    """Whether every strip or tile lies inside the file."""
    starts, counts = _parts(image)
    return bool(counts) and all(
        start + count <= file_bytes for start, count in zip(starts, counts, strict=False)
    )


def _parts(image: Image.Image) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the strips or tiles begin, and how many bytes they have."""
    tags = _TILES if _TILES[0] in image.tag_v2 else _STRIPS
    return tuple(image.tag_v2.get(tags[0], ())), tuple(image.tag_v2.get(tags[1], ()))
