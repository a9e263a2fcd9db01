"""The evaluation command on stand-ins for the models: python -m pytest tests/cli/test_evaluate.py"""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from segzero.__main__ import main
from segzero.cli import evaluate as command
from segzero.data import write_dataset
from segzero.evaluation import Process, read_records
from segzero.pipeline import Pipeline
from tests.shared.evaluating import (
    ANSWERS,
    ITEMS,
    LEFT,
    NONE,
    Reasoner,
    Segmenter,
    evaluate,
    half,
    item,
    totals,
)
from tests.shared.scripted import PRESET

pytestmark = pytest.mark.usefixtures("here")


def test_every_sample_has_a_line_and_every_protocol_its_numbers(reasoner: Reasoner, capsys):
    assert evaluate() == 0
    records = read_records(Path("run/samples.jsonl"))
    assert [(r.id, r.status, r.iou) for r in records] == [
        ("a", "ok", 1.0),
        ("b", "ok", 0.0),
        ("c", "no_target", 1.0),
        ("d", "unreadable", 0.0),
        ("e", "segmenter_error", 0.0),
        ("f", "ok", 1.0),
    ]
    first = records[0]
    assert first.targets == ({"box_xyxy": [0, 0, 100, 50], "points_xy": [[50, 25]], "score": 0.75},)
    assert (first.overlap.intersection, first.overlap.union, first.box_iou) == (5000, 5000, 1.0)
    assert first.raw == LEFT and first.seconds.keys() == {"reasoning", "segmentation"}
    assert (records[2].box_iou, records[4].targets[0]["score"]) == (None, None)
    found = {name: each["gIoU"] for name, each in totals()["protocols"].items()}
    assert found["strict"]["value"] == pytest.approx(3 / 6) and found["strict"]["count"] == 6
    assert found["lisa"]["value"] == pytest.approx(2 / 5)  # not the second text
    assert found["seg_zero"]["value"] == pytest.approx(1 / 5)  # cannot read an empty list
    assert found["vision_reasoner"]["value"] == pytest.approx(1 / 3)  # drops it, and the segmenter's error
    n_acc = {name: each["N-acc"]["value"] for name, each in totals()["protocols"].items()}
    assert n_acc == {"strict": 1.0, "lisa": 1.0, "seg_zero": None, "vision_reasoner": None}
    assert totals()["kinds"]["spatial"]["gIoU"]["value"] == 0.5
    assert totals()["statuses"] == {"ok": 3, "no_target": 1, "unreadable": 1, "segmenter_error": 1}
    assert totals()["speed"]["answered"] == 6
    out = capsys.readouterr().out
    assert "6 questions about 2 pictures: 3 ok, 1 no target" in out and "nothing was left out" in out
    assert re.search(r"strict +6 +50\.0 \[", out)


def test_an_ignored_region_counts_only_where_a_protocol_says_so(reasoner: Reasoner):
    assert evaluate() == 0
    last = read_records(Path("run/samples.jsonl"))[-1]
    assert (last.overlap.union, last.foreground.union) == (5000, 10000)


@pytest.mark.parametrize("extra", [(), ("--samples", 3)])
def test_a_run_that_was_killed_goes_on(monkeypatch, extra: tuple):
    class Killed(BaseException):
        pass

    def kill(count: int) -> None:
        if count == 4 * (3 if extra else 1):
            raise Killed

    def load(talker: Reasoner) -> None:
        monkeypatch.setattr(command, "load_pipeline", lambda args: Pipeline(talker, Segmenter(), PRESET))

    load(Reasoner(kill))
    with pytest.raises(Killed):
        evaluate(*extra)
    before = len(read_records(Path("run/samples.jsonl")))
    assert before <= 4  # some may have been answered and not marked yet
    with Path("run/samples.jsonl").open("a") as file:
        file.write('{"id": "c", "stat')
    again, whole = Reasoner(), Reasoner()
    load(again)
    assert evaluate(*extra) == 0
    resumed = read_records(Path("run/samples.jsonl"))
    load(whole)
    assert main(["evaluate", "--data", "mine", "--out", "whole", *map(str, extra)]) == 0
    unbroken = read_records(Path("whole/samples.jsonl"))
    assert [(r.id, r.status, r.overlap, r.answers) for r in resumed] == [
        (r.id, r.status, r.overlap, r.answers) for r in unbroken
    ]
    assert len(again.asked) == (6 - before) * (3 if extra else 1)
    assert set(again.seeds) <= set(whole.seeds)


def test_a_finished_run_asks_nothing_and_loads_nothing(reasoner: Reasoner, monkeypatch, capsys):
    assert evaluate("--limit", 2) == 0
    assert evaluate() == 0
    assert len(reasoner.asked) == 6
    monkeypatch.setattr(command, "load_pipeline", None)
    assert evaluate() == 0 and totals()["questions"] == 6 and totals()["speed"] is None
    assert evaluate("--limit", 2) == 0 and totals()["questions"] == 2
    assert len(read_records(Path("run/samples.jsonl"))) == 6


def test_a_folder_of_another_run_is_left_alone(reasoner: Reasoner, capsys):
    assert evaluate() == 0
    assert evaluate("--preset", "seg-zero-7b") == 1
    assert "holds another run (preset was 'mini' and is now 'seg-zero-7b'" in capsys.readouterr().err
    with Path("mine/data.jsonl").open("a") as file:
        file.write("\n")
    assert evaluate() == 1
    assert "data_fingerprint" in capsys.readouterr().err


def test_several_processes_answer_each_sample_once(reasoner: Reasoner, monkeypatch, capsys):
    def start(rank: int) -> int:
        environment = {"RANK": str(rank), "WORLD_SIZE": "3", "LOCAL_RANK": str(rank)}
        monkeypatch.setattr(command, "Process", Given(Process.of_environment(environment)))
        return evaluate("--device", "cpu")

    assert start(2) == 0 and start(1) == 0
    assert sorted(path.name for path in Path("run").glob("*.jsonl")) == ["samples.1.jsonl", "samples.2.jsonl"]
    assert capsys.readouterr().out == ""  # only the first process speaks
    assert start(0) == 0
    assert sorted(reasoner.asked) == sorted(item.question for item in ITEMS)
    assert [record.id for record in read_records(Path("run/samples.jsonl"))] == list("abcdef")
    assert [path.name for path in Path("run").glob("samples*")] == ["samples.jsonl"]
    assert totals()["protocols"]["strict"]["gIoU"]["value"] == 0.5


class Given:
    def __init__(self, process: Process) -> None:
        self.of_environment = lambda: process


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({}, Process()), ({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}, Process(1, 2, 1))],
)
def test_what_a_launcher_tells(environment: dict, expected: Process):
    assert Process.of_environment(environment) == expected


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9])
def test_the_shares_of_all_processes_are_all_samples_in_their_order(count: int):
    shares = [list(Process(rank, count).share(range(8))) for rank in range(count)]
    assert sum(shares, []) == list(range(8)) and max(map(len, shares)) - min(map(len, shares)) <= 1


def test_what_cannot_be_used_is_counted_and_told(reasoner: Reasoner, capsys):
    (Path("mine/images") / "blue.png").write_bytes(b"broken")
    rows = Path("mine/data.jsonl").read_text().splitlines()
    Path("mine/data.jsonl").write_text("\n".join([*rows, rows[0], '{"image": "x"}']) + "\n")
    assert evaluate() == 0
    told = totals()["left_out"]
    assert [each["where"] for each in told] == ["line 7, id a", "line 8", "id e"]
    assert [each["reason"] for each in told] == [
        "a duplicate id",
        "no 'question'",
        "a picture that cannot be used",
    ]
    assert totals()["statuses"]["left_out"] == 1
    assert totals()["protocols"]["strict"]["gIoU"]["count"] == 5
    assert "3 left out, each with its reason in run/left_out.jsonl:" in capsys.readouterr().out


def test_the_segmenter_works_beside_the_reasoner(monkeypatch):
    """The second answer ends only once the first is being segmented, and the other way round."""
    segmenting, reasoning = threading.Event(), threading.Event()

    class Beside(Segmenter):
        def segment(self, image, targets, *, clicks=None):
            segmenting.set()
            assert reasoning.wait(120)
            return super().segment(image, targets, clicks=clicks)

    def before(count: int) -> None:
        if count == 1:
            assert segmenting.wait(120)
            reasoning.set()

    monkeypatch.setattr(command, "load_pipeline", lambda args: Pipeline(Reasoner(before), Beside(), PRESET))
    assert evaluate("--limit", 2, "--batch", 1) == 0


def test_answers_that_vote(reasoner: Reasoner, capsys):
    assert evaluate("--samples", 3) == 0
    records = read_records(Path("run/samples.jsonl"))
    left = records[0]
    assert left.answers == (LEFT, NONE, LEFT) and left.status == "ok" and left.iou == 1.0
    assert left.confidence == pytest.approx(1 / 3)
    assert set(left.votes) == {"weighted", "majority", "medoid", "majority_objects", "one"}
    failed = records[4]  # the segmenter refuses two of three
    assert (failed.status, failed.confidence) == ("no_target", 0.0)
    assert failed.votes.keys() == left.votes.keys() - {"one"}  # the one answer failed
    voting = totals()["voting"]
    assert voting["answers"] == 3 and voting["gIoU"]["weighted"]["value"] == pytest.approx(3 / 6)
    assert voting["gain"]["medoid"]["value"] == 0.0
    out = capsys.readouterr().out
    assert "3 answers to each question" in out and "medoid" in out and "gain +0.0" in out


def test_a_set_of_the_hub_is_prepared_once(reasoner: Reasoner, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        "segzero.data.open_set", lambda name: (asked.append(name), (iter(ITEMS), len(ITEMS)))[1]
    )
    for _ in range(2):
        assert main(["evaluate", "--data", "owner/set_val"]) == 0
    assert asked == ["owner/set_val"] and Path("runs/data/owner--set_val/data.jsonl").exists()
    assert Path("runs/evaluate/owner-set_val-mini/totals.json").exists()


@pytest.mark.parametrize(
    ("args", "code", "word"),
    [
        (["evaluate"], 2, "Name the data with --data"),
        (["evaluate", "--data", "none.jsonl"], 1, "none.jsonl is not there"),
        (["evaluate", "--data", "mine/images"], 1, "holds no data.jsonl"),
        (["evaluate", "--compare", "a.jsonl", "b.jsonl"], 1, "a.jsonl"),
        (["evaluate", "--compare", "mine/data.jsonl", "mine/data.jsonl"], 1, "line 1: not a sample"),
    ],
)
def test_wrong_usage_is_said_in_one_line(args: list[str], code: int, word: str, capsys):
    assert main(args) == code
    said = capsys.readouterr().err
    assert said.startswith("segzero: ") and said.count("\n") == 1 and word in said


def test_two_runs_are_compared_in_pairs(reasoner: Reasoner, monkeypatch, capsys):
    assert evaluate() == 0
    monkeypatch.setitem(ANSWERS, "right", LEFT.replace("0, 0, 50, 100", "50, 0, 100, 100"))
    assert main(["evaluate", "--data", "mine", "--out", "better", "--limit", "5"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "--compare", "run/samples.jsonl", "better/samples.jsonl"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "better/samples.jsonl - run/samples.jsonl",
        "5 questions that both have",
        "1 more only in run/samples.jsonl, not compared",
        "better 1, worse 0, the same 4",
    ]
    assert any(re.match(r"strict +5 +\+20\.0 \[\+0\.0, ", line) for line in lines)
    assert "holds 0: no difference is shown" in lines[-1]


def test_runs_about_other_data_are_not_compared(reasoner: Reasoner, capsys):
    assert evaluate() == 0
    write_dataset(Path("other"), [item("a", "the left one", [half("left") & half("right")])])
    assert main(["evaluate", "--data", "other", "--out", "second"]) == 0
    assert main(["evaluate", "--compare", "run/samples.jsonl", "second/samples.jsonl"]) == 1
    assert "are about other data: a is not" in capsys.readouterr().err
