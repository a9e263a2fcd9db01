"""How a file holds a picture, against how it is looked at: EXIF may turn it, and labels may be for either.

    stored = read_stored(Path("rot.jpg"))                   # of a phone: 64 x 48 pixels, to be turned
    stored.wh, stored.upright_wh                            # (64, 48), (48, 64)
    stored.upright(mask)                                    # (48, 64) -> (64, 48) rows and columns

Only the header is read: whether the rest is whole, `load_picture` finds out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from segzero.pictures.picture import _DAMAGE, _UPRIGHT, PictureError, _file, _open, _orientation

_SIDEWAYS = (
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_270,
)


@dataclass(frozen=True)
class Stored:
    """wh: of the pixels as the file holds them. turn: what EXIF asks to be done to them, None for nothing."""

    wh: tuple[int, int]
    turn: Image.Transpose | None

    @property
    def upright_wh(self) -> tuple[int, int]:
        """(width, height) of what `load_picture` gives."""
        return self.wh[::-1] if self.turn in _SIDEWAYS else self.wh

    def upright(self, mask: np.ndarray) -> np.ndarray:
        """A mask in the stored pixels, (H, W) bool, in the upright ones."""
        if self.turn is None:
            return mask
        return np.asarray(Image.fromarray(mask.astype(np.uint8)).transpose(self.turn)).astype(bool)


def read_stored(source: Path | BinaryIO, name: str = "the picture") -> Stored:
    """What the header of a picture's file says. Raises PictureError.

    name: what messages call a source that is no path.
    """
    if isinstance(source, Path):
        with _file(source, source.name) as file:
            return _read_header(file, source.name)
    return _read_header(source, name)


def _read_header(file: BinaryIO, name: str) -> Stored:
    try:
        with _open(file, name) as image:
            turn = _UPRIGHT.get(_orientation(image))
            sideways = image.format == "TIFF" and turn in _SIDEWAYS  # Pillow gives its size upright
            return Stored(image.size[::-1] if sideways else image.size, turn)
    except PictureError:
        raise
    except _DAMAGE as error:
        raise PictureError(
            f"{name}: the picture is damaged ({type(error).__name__}); get it again"
        ) from error
