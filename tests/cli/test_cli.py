"""The command line, run in this process on a fake pipeline: python -m pytest tests/cli/test_cli.py"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segzero.__main__ import STOPPED, main
from segzero.cli import ask
from segzero.hub import ModelError
from segzero.pictures import from_json, to_json
from tests.shared.fakes import THOUGHT, FakePipeline, result_of


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakePipeline:
    """A fake instead of models, and a folder with two pictures and a broken one to work in."""
    pipeline = FakePipeline()
    monkeypatch.setattr(ask, "load_pipeline", lambda args: pipeline)
    monkeypatch.chdir(tmp_path)
    Path("pictures").mkdir()
    Image.new("RGB", (40, 20), "red").save("one.png")
    Image.new("RGB", (40, 20), "red").save("pictures/a.png")
    Image.new("RGB", (20, 40), "blue").save("pictures/a.jpg")
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\n not a picture")
    return pipeline


def test_one_picture(capsys: pytest.CaptureFixture):
    assert main(["ask", "one.png", "What is left and right?"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == [
        THOUGHT,
        "",
        "2 objects · 0.5 s · 64 tokens",
        "  1  box 0, 0, 20, 20  point (10, 10)  score 0.90",
        "  2  box 20, 0, 40, 20  point (30, 10)  score 0.80",
        "seconds: total 0.50",
    ]


def test_outputs_of_one_picture(capsys: pytest.CaptureFixture):
    files = ["--overlay", "new/o.webp", "--mask", "m.png", "--json", "j.json"]
    assert main(["ask", "one.png", "What is left?", *files]) == 0
    assert Image.open("new/o.webp").size == (40, 20)
    assert np.asarray(Image.open("m.png")).tolist() == [[255] * 20 + [0] * 20] * 20
    result = from_json(json.loads(Path("j.json").read_text(encoding="utf-8")))
    assert (result.question, result.masks.sum()) == ("What is left?", 400)
    assert capsys.readouterr().out.splitlines()[-3:] == ["overlay: new/o.webp", "mask: m.png", "json: j.json"]


def test_a_folder_with_one_bad_file(capsys: pytest.CaptureFixture):
    args = ["ask", "pictures", "broken.png", "What is left?", "--mask", "masks", "--json", "out"]
    assert main(args) == 1
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == "a.jpg: 1 object · 0.5 s · 64 tokens" == lines[1].replace("png", "jpg")
    assert lines[2].startswith("broken.png: failed: broken.png: not a picture")
    assert "1 of 3 pictures failed." in said.err
    assert sorted(path.name for path in Path("masks").glob("[!.]*")) == ["a-2-mask.png", "a-mask.png"]
    assert Image.open("masks/a-mask.png").size == (20, 40)
    assert Image.open("masks/a-2-mask.png").size == (40, 20)
    assert sorted(path.name for path in Path("out").glob("[!.]*")) == ["a-2.json", "a.json"]


def test_a_zip_of_one_picture_and_of_several():
    assert main(["ask", "one.png", "What is left?", "--zip", "new/all.zip"]) == 0
    with zipfile.ZipFile("new/all.zip") as archive:
        assert {"result.json", "mask-1.png", "cutout-all.png"} <= set(archive.namelist())
    assert main(["ask", "pictures", "What is left?", "--zip", "zips"]) == 0
    assert sorted(path.name for path in Path("zips").glob("[!.]*")) == ["a-2.zip", "a.zip"]


def test_a_saved_answer_is_drawn_again_alike(capsys: pytest.CaptureFixture):
    assert main(["ask", "one.png", "What is left?", "--overlay", "first.png", "--json", "j.json"]) == 0
    said = capsys.readouterr().out
    assert main(["replay", "j.json", "one.png", "--overlay", "again.png", "--zip", "z.zip"]) == 0
    assert Image.open("again.png") == Image.open("first.png")
    again = capsys.readouterr().out.splitlines()
    assert again[:3] == ["What is left?", "", THOUGHT] and again[-2:] == ["overlay: again.png", "zip: z.zip"]
    assert again[4:-2] == said.splitlines()[2:-2]


@pytest.mark.parametrize(
    ("answer", "picture", "word"),
    [
        ("{", "one.png", "j.json: no JSON: "),
        ("[]", "one.png", "Not a Seg-Zero result"),
        (None, "one.png", "j.json"),
        (json.dumps(to_json(result_of((40, 20), "left"))), "none.png", "none.png: there is no such file"),
        (json.dumps(to_json(result_of((20, 40), "left"))), "one.png", "(20, 40)"),
    ],
)
def test_what_cannot_be_drawn_again(answer: str | None, picture: str, word: str, capsys):
    if answer is not None:
        Path("j.json").write_text(answer)
    assert main(["replay", "j.json", picture, "--overlay", "o.png"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("segzero: ") and said.count("\n") == 1 and word in said
    assert not Path("o.png").exists()


def test_nothing_that_matches_is_an_answer(capsys: pytest.CaptureFixture):
    assert main(["ask", "one.png", "Where is up?", "--mask", "m.png"]) == 0
    assert "Nothing in the picture matches · 0.5 s" in capsys.readouterr().out
    assert not np.asarray(Image.open("m.png")).any()


@pytest.mark.parametrize("pictures", [["left/1.png"], ["left"], ["one.png", "left/1.png"]])
def test_a_question_may_bear_the_name_of_a_folder_or_of_a_file(pictures, fake: FakePipeline, capsys):
    for name in ("left", "right"):
        Path(name).mkdir()
        Image.new("RGB", (40, 20)).save(f"{name}/1.png")
    Path("up").write_bytes(b"")
    for question in ("left", "right", "up"):
        assert main(["ask", *pictures, question]) == 0
    assert "not a question" not in capsys.readouterr().err


def test_an_unreadable_answer_is_shown_and_counts_as_failed(capsys: pytest.CaptureFixture):
    assert main(["ask", "one.png", "What is unreadable?"]) == 1
    out = capsys.readouterr().out
    assert "the model wrote: <think>I am not sure</think> It is 42." in out
    assert "note: The answer holds no object." in out


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["one.png", "pictures/a.png"], "pictures/a.png is a file, not a question"),
        (["What is left?", "pictures"], "pictures is a folder, not a question"),
        (["What is left?", "one.png"], "one.png is a file, not a question"),
        (["one.png", " "], "empty"),
        (["one.png", "q" * 2001], "2,000"),
        (["one.png", "left?", "--mask", "m.jpg"], "--mask writes .png"),
        (["one.png", "left?", "--zip", "m.tar"], "--zip writes .zip"),
        (["one.png", "left?", "--overlay", "o.txt"], ".jpeg or .webp"),
        (["pictures", "left?", "--mask", "m.png"], "name folders"),
        (["one.png", "left?", "--overlay", "./one.png"], "one.png would be written over"),
        (["one.png", "left?", "--overlay", "o.png", "--mask", "o.png"], "o.png would be written over"),
        (["empty", "left?"], "no picture in the folder empty"),
    ],
)
def test_wrong_usage_is_said_in_one_line(args: list[str], word: str, capsys: pytest.CaptureFixture):
    Path("empty").mkdir()
    assert main(["ask", *args]) == 2
    said = capsys.readouterr().err
    assert said.startswith("segzero: ") and said.count("\n") == 1 and word in said


@pytest.mark.parametrize("picture", ["none.png", "broken.png"])
def test_a_bad_picture_is_said_in_one_line(picture: str, capsys: pytest.CaptureFixture):
    assert main(["ask", picture, "left?"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"segzero: {picture}: ") and said.count("\n") == 1


def test_a_model_that_cannot_be_had_is_said_in_one_line(monkeypatch, capsys: pytest.CaptureFixture):
    def unreachable(args):
        raise ModelError("some/model cannot be loaded:\nno network. Name a folder.")

    monkeypatch.setattr(ask, "load_pipeline", unreachable)
    assert main(["ask", "one.png", "left?"]) == 1
    assert capsys.readouterr().err == "segzero: some/model cannot be loaded: no network. Name a folder.\n"


def test_an_output_that_cannot_be_written_is_said_in_one_line(capsys: pytest.CaptureFixture):
    assert main(["ask", "one.png", "left?", "--json", "one.png/j.json"]) == 1
    assert "one.png" in capsys.readouterr().err.splitlines()[-1]


def test_ctrl_c_stops_the_model(monkeypatch, fake: FakePipeline, capsys: pytest.CaptureFixture):
    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ask, "thought_printer", lambda: interrupt)
    assert main(["ask", "one.png", "left?"]) == STOPPED
    assert capsys.readouterr().err == "\nStopped.\n"
    assert fake.stopped == 1


def test_what_a_model_writes_drives_no_terminal(capsys: pytest.CaptureFixture):
    show = ask.thought_printer()
    show("red \x1b[31m")
    show("red \x1b[31m and \u202eback\udc80\n\tdone\x07")
    assert capsys.readouterr().out == "red [31m and back\n\tdone"


@pytest.mark.parametrize("args", [["--help"], ["ask", "--help"]])
def test_help_comes_without_torch(args: list[str], repo: Path):
    code = f"import sys; sys.argv = ['segzero', *{args!r}]\nfrom segzero.__main__ import main\n"
    code += "try: main()\nexcept SystemExit as end: assert end.code == 0 and 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], cwd=repo, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage: python -m segzero" in done.stdout
