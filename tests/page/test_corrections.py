"""Saved corrections, read back with the trainer's and the evaluation's own readers.

python -m pytest tests/page/test_corrections.py
"""

from __future__ import annotations

import errno
import json
import multiprocessing
import threading
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


SEPARATORS = ["a\u2028b", "a\u2029b", "a\x85b", "a\x0bb\x0c\x1c\x1d\x1eb"]


@pytest.mark.parametrize("question", SEPARATORS, ids=ascii)
def test_a_question_with_any_separator_costs_no_other_row(photo: Path, tmp_path: Path, question: str):
    kept = Corrections(tmp_path / "kept")
    kept.add(result_of((40, 60), "left", question=question), photo)
    assert kept.add(result_of((40, 60), "left", question="Which side?"), photo) == 2
    assert kept.add(result_of((40, 60), "right", question=question), photo) == 2
    samples, refused = read_samples(tmp_path / "kept")
    assert not refused and [each.question for each in samples] == ["Which side?", question]


def test_lines_that_are_no_rows_stay_as_they_are(photo: Path, tmp_path: Path):
    foreign = b'{"image": "x.png"}\r\n\xff\xfe not UTF-8\n' + b"[" * 100_000 + b"\n\n{torn"
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "data.jsonl").write_bytes(foreign)
    assert Corrections(tmp_path / "kept").add(result_of((40, 60), "left"), photo) == 5
    assert (tmp_path / "kept" / "data.jsonl").read_bytes().startswith(foreign.replace(b"\n\n", b"\n") + b"\n")


def test_a_disk_that_fills_leaves_what_was_there(photo: Path, tmp_path: Path, monkeypatch):
    kept = Corrections(tmp_path / "kept")
    kept.add(result_of((40, 60), "left", question="Which side?"), photo)
    before = {path: path.read_bytes() for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    Image.new("RGB", (60, 40), "red").save(tmp_path / "other.png")
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        kept.add(result_of((60, 40), "left"), tmp_path / "other.png")
    assert {path: path.read_bytes() for path in (tmp_path / "kept").rglob("*") if path.is_file()} == before


def test_half_a_picture_of_an_earlier_time_is_made_whole(photo: Path, tmp_path: Path):
    kept = Corrections(tmp_path / "kept")
    kept.add(result_of((40, 60), "left", question="Which side?"), photo)
    (saved,) = (tmp_path / "kept" / "images").iterdir()
    saved.write_bytes(photo.read_bytes()[:100])
    kept.add(result_of((40, 60), "left", question="Which side?"), photo)
    assert saved.read_bytes() == photo.read_bytes()


def _add_some(folder: Path, photo: Path, name: str) -> None:
    for number in range(5):
        Corrections(folder).add(result_of((40, 60), "left", question=f"{name} {number}?"), photo)


def test_processes_and_threads_lose_no_rows(photo: Path, tmp_path: Path):
    fork = multiprocessing.get_context("fork")
    work = [fork.Process(target=_add_some, args=(tmp_path / "kept", photo, f"process {n}")) for n in range(3)]
    for each in work:  # before there are threads, which a fork would not bring along
        each.start()
    work += [
        threading.Thread(target=_add_some, args=(tmp_path / "kept", photo, f"thread {n}")) for n in range(2)
    ]
    for each in work[3:]:
        each.start()
    for each in work:
        each.join()
    samples, refused = read_samples(tmp_path / "kept")
    assert not refused and len(samples) == 25
