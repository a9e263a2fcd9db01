"""Pictures that EXIF turns, and their labels: python -m pytest -q tests/pictures/test_stored.py"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segzero.pictures import PictureError, load_picture, read_stored


@pytest.mark.parametrize("ending", ["png", "tif"])  # without loss, so that a pixel can be followed
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_turns_as_its_picture_does(tmp_path: Path, orientation: int, ending: str):
    mask = np.zeros((4, 6), bool)
    mask[0, 1] = mask[3, 5] = mask[2, 0] = True
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{ending}"
    Image.fromarray(mask.astype(np.uint8) * 255).convert("RGB").save(path, exif=exif)
    stored, seen = read_stored(path), load_picture(path)
    assert stored.wh == (6, 4) and stored.upright_wh == seen.size
    assert (stored.upright(mask) == (np.asarray(seen)[..., 0] > 0)).all()


def test_what_is_no_picture(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    for source in (tmp_path / "a.png", tmp_path / "gone.png", tmp_path, io.BytesIO(b"nothing")):
        with pytest.raises(PictureError):
            read_stored(source)
