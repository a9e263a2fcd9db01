"""Each protocol on each sample they disagree about: python -m pytest tests/evaluation/test_protocols.py"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from segzero.evaluation import (
    STRICT,
    Overlap,
    Record,
    RecordError,
    aggregate_records,
    count_under,
    measure,
    read_records,
    record_line,
    write_records,
)
from segzero.evaluation.protocols import LISA, PROTOCOLS, SEG_ZERO, VISION_REASONER
from segzero.evaluation.record import from_json, to_json


def record(status: str = "ok", overlap: Overlap | None = None, **more) -> Record:
    return Record(id="1", picture="1.png", question="what?", status=status, overlap=overlap, **more)


MISSED = Overlap(intersection=0, union=40, predicted=0, truth=40)
EMPTY = Overlap(intersection=0, union=0, predicted=0, truth=0)
HALF = Overlap(intersection=20, union=40, predicted=20, truth=40)
IGNORING = record(overlap=HALF, foreground=Overlap(intersection=20, union=80, predicted=20, truth=80))

CASES = [
    # what, record, its IoU under: lisa, seg_zero, vision_reasoner, strict; None: dropped
    ("half", record(overlap=HALF), 0.5, 0.5, 0.5, 0.5),
    ("unreadable", record("unreadable", MISSED), 0.0, 0.0, 0.0, 0.0),
    ("unreadable, nothing to find", record("unreadable", EMPTY), 1.0, 0.0, 0.0, 0.0),
    ("segmenter error", record("segmenter_error", MISSED), 0.0, 0.0, None, 0.0),
    ("segmenter error, nothing to find", record("segmenter_error", EMPTY), 1.0, 0.0, None, 0.0),
    ("nothing to find, and said so", record("no_target", EMPTY), 1.0, 0.0, None, 1.0),
    ("an empty mask of a target, nothing to find", record("ok", EMPTY), 1.0, None, None, 1.0),
    ("nothing said of something", record("no_target", MISSED), 0.0, 0.0, 0.0, 0.0),
    ("an ignored region", IGNORING, 0.5, 0.25, 0.25, 0.5),
    ("a second text", record(overlap=HALF, text=1), None, None, None, 0.5),
    ("a second expression", record(overlap=HALF, expression=1), 0.5, None, None, 0.5),
    ("left out", record("left_out"), None, None, None, None),
]


@pytest.mark.parametrize(("case", "sample", "lisa", "seg_zero", "vision_reasoner", "strict"), CASES)
def test_the_table(case, sample, lisa, seg_zero, vision_reasoner, strict):
    protocols = (LISA, SEG_ZERO, VISION_REASONER, STRICT)
    counted = [count_under(sample, protocol) for protocol in protocols]
    assert [c and c.iou for c in counted] == [lisa, seg_zero, vision_reasoner, strict], case


def test_a_failure_is_not_honesty():
    honest, failed = record("no_target", EMPTY), record("unreadable", EMPTY)
    assert measure([count_under(honest, STRICT), count_under(failed, STRICT)])["N-acc"].value == 0.5
    assert measure([count_under(honest, LISA), count_under(failed, LISA)])["N-acc"].value == 1.0


def test_a_false_mask_costs_ciou_where_nothing_is():
    samples = [record(overlap=HALF), record(overlap=Overlap(0, 60, 60, 0))]
    assert measure([count_under(sample, STRICT) for sample in samples])["cIoU"].value == 0.2


def test_the_strict_iou_of_a_record_is_the_strict_protocols():
    for _, sample, *_, strict in CASES:
        assert sample.status == "left_out" or sample.iou == strict


def test_strict_is_the_first():
    assert list(PROTOCOLS) == ["strict", "lisa", "seg_zero", "vision_reasoner"]


FULL = record(
    overlap=HALF,
    foreground=MISSED,
    kind="spatial",
    raw="<think>ä\n</think>",
    targets=({"box_xyxy": [1.0, 2.0, 3.0, 4.0], "points_xy": [[2.0, 3.0]], "score": 0.5},),
    box_iou=0.25,
    mask={"size": [2, 4], "counts": "08"},
    seconds={"reasoning": 1.5},
    answers=("a", "b"),
    confidence=0.5,
    votes={"medoid": HALF},
)


@pytest.mark.parametrize("sample", [FULL, record("left_out", problem="no such file")])
def test_a_line_and_back(sample: Record):
    assert from_json(json.loads(record_line(sample))) == sample


def test_a_line_has_the_counts_in_the_open():
    line = to_json(FULL)
    assert (line["intersection"], line["union"], line["status"]) == (20, 40, "ok")


def test_a_line_that_a_kill_cut_off_is_left_away(tmp_path: Path):
    path = tmp_path / "samples.jsonl"
    write_records(path, [FULL, IGNORING])
    line = record_line(FULL).encode()
    with path.open("ab") as file:
        file.write(line[: line.index("ä".encode()) + 1])  # in the middle of a letter
    assert read_records(path) == [FULL, IGNORING]


@pytest.mark.parametrize("text", ["{}\n", "[]\n", "no\n", record_line(FULL).replace('"ok"', '"fine"')])
def test_another_file_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "samples.jsonl"
    path.write_text(text)
    with pytest.raises(RecordError, match="samples.jsonl, line 1: "):
        read_records(path)


def test_the_documented_table_is_this_table(repo: Path):
    text = (repo / "docs" / "evaluation.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:1] == "|"
    ]
    table = {row[0]: row[1:] for row in rows}
    names = table["protocol"]
    assert names == list(PROTOCOLS)
    for field in ("unreadable", "segmenter_error", "no_target", "ignore", "texts", "expressions"):
        assert table[field] == [getattr(PROTOCOLS[name], field) for name in names]
    both = [
        "drop" if PROTOCOLS[name].both_empty is None else f"{PROTOCOLS[name].both_empty:g}" for name in names
    ]
    assert table["both_empty"] == both


ODD = [
    None,
    True,
    -1,
    2.5,
    10**400,
    float("nan"),
    "x",
    [],
    {},
    [1],
    {"x": 1},
    "\ud800",
    [[1, 2]],
    {"union": 1},
]


def test_a_changed_line_is_read_or_refused():
    """Whatever is read counts under every protocol, and is written again."""
    rng, read = random.Random(0), 0
    for _ in range(1500):
        line = to_json(FULL)
        inner = rng.choice([line, line, line["targets"][0], line["foreground"], line["votes"]["medoid"]])
        name = rng.choice(list(inner))
        if rng.random() < 0.2:
            del inner[name]
        else:
            inner[name] = rng.choice(ODD)
        try:
            changed = from_json(line)
        except RecordError as error:
            assert str(error).isprintable()
            continue
        read += 1
        aggregate_records([changed])
        assert record_line(changed).encode()
    assert 50 < read < 1000


def test_a_rule_of_voting_is_told_only_where_all_that_voted_knew_it():
    known = {"weighted": HALF, "majority": HALF, "medoid": HALF, "one": HALF}
    now = record(overlap=HALF, answers=("a",), confidence=1.0, votes={**known, "majority_objects": HALF})
    failed = record("unreadable", MISSED, answers=("a",), confidence=0.0)
    before = record(overlap=HALF, answers=("a",), confidence=1.0, votes=known)
    found = aggregate_records([now, failed])["voting"]["gIoU"]
    assert found["majority_objects"]["value"] == found["weighted"]["value"] == 0.25
    told = aggregate_records([now, failed, before])["voting"]
    assert told["gIoU"].keys() == known.keys() and "majority_objects" not in told["gain"]
