"""Asking about a folder: in batches, by several processes, again after a stop.

python -m pytest tests/cli/test_ask_many.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import segzero
from segzero.__main__ import main
from segzero.cli import ask
from segzero.contract import MINI, Result
from segzero.pictures import PictureError, load_picture
from tests.shared.fakes import FakePipeline


class Counting(FakePipeline):
    """asked: the names of the pictures that were asked about, by every run."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def run_each(self, images, question, *, at_once=16):
        images = list(images)
        for index, came in super().run_each(images, question, at_once=at_once):
            self.asked.append(images[index].stem)
            yield index, came


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Counting:
    pipeline = Counting()
    monkeypatch.setattr(ask, "load_pipeline", lambda args: pipeline)
    monkeypatch.chdir(tmp_path)
    Path("many").mkdir()
    for number in range(5):
        Image.new("RGB", (40, 20 + number), "red").save(f"many/{number}.png")
    return pipeline


def test_what_is_there_already_is_not_asked_again(fake: Counting, capsys):
    command = ["ask", "many", "What is left?", "--json", "out", "--mask", "out"]
    assert main(command) == 0 and fake.asked == list("01234")
    Path("out/3-mask.png").unlink()  # as if a kill had come between the two
    fake.asked.clear()
    assert main(command) == 0 and fake.asked == ["3"]
    assert "4 pictures asked already" in capsys.readouterr().out
    fake.asked.clear()
    assert main(command) == 0 and fake.asked == []


def test_another_question_is_asked_of_all_also_after_a_stop(fake: Counting):
    assert main(["ask", "many", "What is left?", "--json", "out"]) == 0
    fake.asked.clear()
    for again in (["ask", "many/0.png", "many/1.png"], ["ask", "many"]):  # the first two, then the rest
        assert main([*again, "What is right?", "--json", "out"]) == 0
    assert fake.asked == list("01234")
    said = [json.loads(path.read_text())["question"] for path in sorted(Path("out").glob("*.json"))]
    assert said == ["What is right?"] * 5


def test_without_outputs_all_are_asked_every_time(fake: Counting):
    for _ in range(2):
        assert main(["ask", "many", "What is left?"]) == 0
    assert fake.asked == list("0123401234")


def test_processes_share_the_pictures_each_once(fake: Counting, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        assert main(["ask", "many", "What is left?", "--json", "out"]) == 0
    assert sorted(fake.asked) == list("01234") and fake.asked[:3] == list("024")
    assert len(list(Path("out").glob("*.json"))) == 5


@pytest.mark.slow
def test_batches_say_what_one_picture_alone_is_told(tmp_path: Path):
    examples = sorted((Path(MINI.reasoner).parents[1] / "examples").glob("*.webp"))[:5]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    pipeline, question = segzero.load("mini", device="cpu"), "What could keep me dry?"
    for at_once in (1, 3, 16):
        found = dict(pipeline.run_each([*examples, broken], question, at_once=at_once))
        assert sorted(found) == list(range(6)) and isinstance(found[5], PictureError)
        for index, path in enumerate(examples):
            alone, came = pipeline.run(path, question), found[index]
            assert isinstance(came, Result) and came.picture.size == load_picture(path).size
            assert (came.raw, came.status, came.targets) == (alone.raw, alone.status, alone.targets)
            assert (came.masks == alone.masks).all()
    assert replace(came, tokens=0).seconds["total"] > 0
