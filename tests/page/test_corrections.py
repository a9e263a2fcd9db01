"""Saved corrections, read back with the trainer's and the evaluation's own readers.

python -m pytest tests/page/test_corrections.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from page.corrections import Corrections
from segzero.contract import MINI, Frame
from segzero.data import load_sample, read_samples
from tests.shared.fakes import result_of


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A phone's photo: stored 60 x 40, to be looked at turned, 40 x 60."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40), "teal").save(tmp_path / "photo.JPG", exif=exif)
    return tmp_path / "photo.JPG"


def test_evaluation_reads_what_was_saved(photo: Path, tmp_path: Path):
    result = result_of((40, 60), "left", "right", question="Which sides?")
    assert Corrections(tmp_path / "kept").add(result, photo) == 1
    samples, refused = read_samples(tmp_path / "kept")
    assert not refused and [each.question for each in samples] == ["Which sides?"]
    loaded = load_sample(samples[0])
    assert loaded.picture.size == (40, 60) and loaded.masks.shape == (2, 60, 40)
    assert (loaded.masks == result.masks).all()


def test_the_trainer_reads_what_was_saved(photo: Path, tmp_path: Path):
    data = pytest.importorskip("train.data", reason="the trainer's libraries are missing")
    Corrections(tmp_path / "kept").add(result_of((40, 60), "left", question="Which side?"), photo)
    rows, report = data.load(str(tmp_path / "kept"), replace(MINI, frame=Frame(frame_px=168)))
    assert (report.used, report.left_out) == (1, ())
    assert rows[0]["prompt"][0]["content"] == MINI.dialect.prompt("Which side?")
    assert (rows[0]["img_width"], rows[0]["img_height"], rows[0]["frame_px"]) == (40, 60, 168)
    (answer,) = json.loads(rows[0]["solution"])
    assert answer["bbox_2d"] == [0, 0, 80, 165]  # pixels 0..19 and 0..59 of 40 x 60, in a frame of 168


def test_saving_again_replaces_and_another_question_is_added(photo: Path, tmp_path: Path):
    kept = Corrections(tmp_path / "kept")
    kept.add(result_of((40, 60), "left", question="Which side?"), photo)
    assert kept.add(result_of((40, 60), "right", question="Which other side?"), photo) == 2
    assert kept.add(result_of((40, 60), "right", question="Which side?"), photo) == 2
    samples, _ = read_samples(tmp_path / "kept")
    assert [each.question for each in samples] == ["Which other side?", "Which side?"]
    assert load_sample(samples[1]).truth[0, 39] and not load_sample(samples[1]).truth[0, 0]
    assert len(list((tmp_path / "kept" / "images").iterdir())) == 1


def test_where_the_file_is_gone_the_picture_in_memory_is_kept(photo: Path, tmp_path: Path):
    result = replace(result_of((40, 60), "left"), picture=Image.new("RGB", (40, 60), "teal"))
    photo.unlink()
    Corrections(tmp_path / "kept").add(result, photo)
    ((sample,), _) = read_samples(tmp_path / "kept")
    assert load_sample(sample).picture.getpixel((0, 0)) == (0, 128, 128) and sample.image.endswith(".png")
    with pytest.raises(FileNotFoundError):
        Corrections(tmp_path / "kept").add(replace(result, picture=None), photo)


def test_a_mask_that_was_emptied_is_left_away(photo: Path, tmp_path: Path):
    kept, result = Corrections(tmp_path / "kept"), result_of((40, 60), "left", "right")
    kept.add(replace(result, masks=result.masks * np.array([False, True]).reshape(2, 1, 1)), photo)
    assert len(read_samples(tmp_path / "kept")[0][0].masks) == 1
    with pytest.raises(ValueError, match="no mask"):
        kept.add(replace(result, masks=np.zeros_like(result.masks)), photo)
