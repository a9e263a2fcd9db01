"""The same evaluation given again, and how it asks: python -m pytest tests/cli/test_evaluate_again.py"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from segzero.__main__ import main
from segzero.cli import evaluate as command
from segzero.contract import MINI, PRESETS, SINGLE, Frame
from segzero.data import write_dataset
from segzero.evaluation import Process, read_records
from segzero.pipeline import Pipeline
from tests.contract.answer_cases import CUP
from tests.shared.evaluating import LEFT, Reasoner, Segmenter, evaluate, half, item, totals
from tests.shared.scripted import PRESET

pytestmark = pytest.mark.usefixtures("here")


def statuses() -> dict[str, str]:
    return {record.id: record.status for record in read_records(Path("run/samples.jsonl"))}


# --------------------------------------------------------------------------------------- what was left out


def test_what_was_left_out_is_tried_again(reasoner: Reasoner, monkeypatch, capsys):
    picture = Path("mine/images/blue.png")
    kept = picture.read_bytes()
    picture.unlink()
    assert evaluate() == 0
    assert statuses()["e"] == "left_out" and len(reasoner.asked) == 5
    load = command.load_pipeline
    monkeypatch.setattr(command, "load_pipeline", None)
    assert evaluate() == 0 and totals()["statuses"]["left_out"] == 1  # still missing: no model is loaded
    monkeypatch.setattr(command, "load_pipeline", load)
    picture.write_bytes(kept)
    capsys.readouterr()
    assert evaluate() == 0
    assert reasoner.asked[5:] == ["an error"] and statuses()["e"] == "segmenter_error"
    assert len(read_records(Path("run/samples.jsonl"))) == 6 and "left_out" not in totals()["statuses"]
    assert "nothing was left out" in capsys.readouterr().out


def test_what_another_run_does_not_ask_about_stays_as_it_was(reasoner: Reasoner):
    Path("mine/images/blue.png").unlink()
    assert evaluate() == 0
    assert evaluate("--limit", 2) == 0
    assert statuses()["e"] == "left_out" and len(statuses()) == 6


def test_several_processes_try_again_what_one_left_out(reasoner: Reasoner, monkeypatch):
    picture = Path("mine/images/blue.png")
    kept = picture.read_bytes()
    picture.unlink()
    assert evaluate() == 0
    picture.write_bytes(kept)

    def start(rank: int) -> int:
        process = Process.of_environment({"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)})
        monkeypatch.setattr(command, "Process", type("Given", (), {"of_environment": lambda: process}))
        return evaluate("--device", "cpu")

    assert start(1) == 0 and start(0) == 0  # the sample is of the second's share
    assert reasoner.asked[5:] == ["an error"] and statuses()["e"] == "segmenter_error"


# ------------------------------------------------------------------------------------------- the same run


@pytest.mark.parametrize("name", ["mine/", "./mine", "mine//", "mine/.", "mine/data.jsonl", "{here}/mine"])
def test_data_spelt_another_way_is_the_same_run(reasoner: Reasoner, here: Path, name: str):
    assert evaluate() == 0
    assert main(["evaluate", "--data", name.format(here=here), "--out", "run"]) == 0
    assert main(["evaluate", "--data", name.format(here=here)]) == 0
    assert len(reasoner.asked) == 12 and Path("runs/evaluate/mine-mini/totals.json").exists()


def test_data_here_has_a_folder_with_its_name(reasoner: Reasoner, monkeypatch):
    monkeypatch.chdir("mine")
    assert main(["evaluate", "--data", "."]) == 0
    assert [path.name for path in Path("runs/evaluate").iterdir()] == ["mine-mini"]


@pytest.mark.parametrize(
    "settings",
    [b"", b"{", b"[]", b"null", b'"data"', b"3", b"\xff\xfe", b"[" * 100_000, b"{}", b'{"data": "other"}'],
)
def test_settings_that_are_not_this_runs_are_one_line(reasoner: Reasoner, capsys, settings: bytes):
    Path("run").mkdir()
    Path("run/settings.json").write_bytes(settings)
    assert evaluate() == 1
    said = capsys.readouterr().err
    assert said.startswith("segzero: run") and said.count("\n") == 1 and "--out" in said
    assert Path("run/settings.json").read_bytes() == settings and not reasoner.asked


# ---------------------------------------------------------------------------------- how it asks and reads


QUOTED = '"The left one?!".'


@pytest.mark.parametrize(
    ("preset", "asked"),
    [
        ("visionreasoner-7b", "the left one"),
        ("seg-zero-7b", '"the left one?!"'),
        ("mini", '"the left one?!"'),
    ],
)
def test_a_question_is_asked_as_the_published_evaluation_did(monkeypatch, preset: str, asked: str):
    trim = PRESETS[preset].evaluation_trim
    write_dataset(Path("quoted"), [item("a", QUOTED, [half("left")])])
    prompts = []

    class Talker(Reasoner):
        def answer_all(self, requests, at_once):
            for request in requests:
                prompts.append(request.prompt)
                yield request.key, LEFT

    pipeline = Pipeline(Talker(), Segmenter(), replace(PRESET, evaluation_trim=trim))
    monkeypatch.setattr(command, "load_pipeline", lambda args: pipeline)
    assert main(["evaluate", "--data", "quoted", "--out", "run", "--preset", preset]) == 0
    assert prompts == [PRESET.dialect.ask[0] + asked + PRESET.dialect.ask[1]]
    assert totals()["settings"].get("question_trim") == (None if trim is None else '."?!')
    assert MINI.dialect.prompt(QUOTED) != prompts[0] or preset != "visionreasoner-7b"  # training keeps them


THOUGHT = "<think>It is there.</think>"
SINGLE_ANSWERS = {
    # what the reasoner says, and whether the release's parser refuses it
    "clean": (f"{THOUGHT}<answer>{CUP}</answer>", False),
    "no thought": (f"<answer>{CUP}</answer>", True),
    "a < in the thought": (f"<think>a < b</think><answer>{CUP}</answer>", True),
    "an object in the thought": (f"<think>not {{x}}</think><answer>{CUP}</answer>", True),
    "another box in the thought": (
        f"<think>not {CUP.replace('84', '42')}</think><answer>{CUP}</answer>",
        True,
    ),
    "point_1": (f"{THOUGHT}<answer>{CUP.replace('points_', 'point_')}</answer>", True),
    "one key": (
        f'{THOUGHT}<answer>{{"bbox": [8,8,42,80], "points": [[9,9],[9,10]]}}</answer>',
        True,
    ),
    "nothing": (f"{THOUGHT}<answer>[]</answer>", True),
    "babble": ("I do not know.", False),  # ours cannot read it either
}


def test_all_that_only_ours_reads_is_counted(monkeypatch):
    items = [item(str(i), words, [half("left")]) for i, words in enumerate(SINGLE_ANSWERS)]
    write_dataset(Path("single"), items)

    class Talker(Reasoner):
        def answer_all(self, requests, at_once):
            for request in requests:
                yield request.key, SINGLE_ANSWERS[items[int(request.key[0])].question][0]

    pipeline = Pipeline(Talker(), Segmenter(), replace(PRESET, dialect=SINGLE, frame=Frame(frame_px=840)))
    monkeypatch.setattr(command, "load_pipeline", lambda args: pipeline)
    assert main(["evaluate", "--data", "single", "--out", "run"]) == 0
    by_mercy = {r.question: r.by_mercy for r in read_records(Path("run/samples.jsonl"))}
    assert by_mercy == {words: refused for words, (_, refused) in SINGLE_ANSWERS.items()}
    assert totals()["accepted_by_mercy"] == 7
