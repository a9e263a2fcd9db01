"""Taking an answer away from the page: python -m pytest tests/page/test_downloads.py"""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from PIL import Image

from page import downloads
from page.downloads import Download, name_of, take
from page.stage import View
from page.visit import Visit
from segzero.contract import Result
from segzero.pictures import PictureError, from_json, to_json
from tests.shared.fakes import result_of


@pytest.fixture
def visit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Visit:
    """Of somebody whose question has been answered."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    picture = Image.new("RGB", (3000, 20), "teal")  # wider than the page shows it
    result = result_of((3000, 20), "left", question="What’s left?")
    view = View.of(picture, str(tmp_path)).saying("1 object", "done")
    return Visit(view=view, record=to_json(result))


def with_picture(visit: Visit) -> Result:
    return from_json(visit.record, Image.new("RGB", (3000, 20), "teal"))


def test_everything_comes_at_full_size_under_a_telling_name(visit: Visit, tmp_path: Path):
    (packing, _), (view, parcel) = take(visit, with_picture)
    assert packing.status == "Packing…"
    assert parcel.name == "what-s-left.zip" and Path(parcel.path).is_relative_to(tmp_path)
    with zipfile.ZipFile(parcel.path) as archive, archive.open("mask-all.png") as mask:
        assert Image.open(mask).size == (3000, 20)
    assert view.status.startswith("Zip of ") and view.state == "done"
    sent = Download().postprocess(parcel)
    assert sent["file"] == {"path": parcel.path, "meta": {"_type": "gradio.FileData"}}
    *_, (_, again) = take(visit, with_picture)
    assert again != parcel  # a second time is told from the first


def test_where_the_picture_is_gone_nothing_is_packed(visit: Visit):
    def gone(visit: Visit) -> Result:
        raise PictureError("photo.png: there is no such file; check the name")

    *_, (view, _) = take(visit, gone)
    assert view.status == "Not packed: photo.png: there is no such file; check the name"


def test_a_zip_that_cannot_be_written_is_said_and_leaves_no_half(visit: Visit, tmp_path: Path, monkeypatch):
    def full(result, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads, "save_zip", full)
    _, (view, _) = take(visit, with_picture)
    assert view.status == "The zip cannot be written: No space left on device" and view.tone == "bad"
    assert not list(tmp_path.rglob("*.zip"))


def test_there_is_nothing_to_take_away_without_an_answer(visit: Visit):
    visit.record = None
    ((view, _),) = take(visit, with_picture)
    assert view.status == "Nothing to take away here"
    assert Download().postprocess(None) is None


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("What could keep me dry?", "what-could-keep-me-dry.zip"),
        ("../../etc", "etc.zip"),
        ("傘は？", "answer.zip"),
    ],
)
def test_the_name_is_a_plain_file_name(question: str, name: str):
    assert name_of(question) == name
