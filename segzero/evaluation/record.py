"""What an evaluation keeps of each sample: one line of its JSONL, enough to count it under every protocol.

    records = read_records(Path("runs/evaluate/mini/samples.jsonl"))
    [record.iou for record in records if record.status == "ok"]

A line, numbers of pixels outside the ignored regions, boxes and points in pixels of the upright picture:

    {"id": "7-0", "picture": "images/7.png", "question": "…", "kind": "spatial", "text": 0, "expression": 0,
     "status": "ok", "problem": "", "raw": "<think>…", "targets": [{"box_xyxy": […], "points_xy": [[…]],
     "score": 0.93}], "intersection": 90, "union": 100, "predicted": 95, "truth": 95, "foreground": null,
     "box_iou": 0.91, "mask": {"size": [480, 640], "counts": "…"}, "seconds": {"reasoning": 0.3, …},
     "answers": [], "confidence": null, "votes": {}, "by_mercy": false}
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from segzero.contract import Target
from segzero.evaluation.metrics import Overlap
from segzero.pictures import write_whole

STATUSES = ("ok", "no_target", "unreadable", "segmenter_error", "left_out")
_COUNTS = ("intersection", "union", "predicted", "truth")


class RecordError(ValueError):
    """A file that is no list of records; one line that says so."""


@dataclass(frozen=True)
class Record:
    """One sample, answered and counted.

    text, expression: see segzero.data.dataset.Sample; protocols differ on which of them count.
    status: the answer's, or "segmenter_error", or "left_out" when picture or truth could not be used; problem
        says why.
    raw: every character the model emitted. targets: what it points at, as dictionaries.
    overlap: pixels outside the ignored regions; None when left out. foreground: the same counts with ignored
        regions taken for part of the truth; None when there are none.
    seconds: "segmentation", and "reasoning": its share of the time of the batch it was answered in.
    box_iou: see metrics.Counted. mask: COCO run lengths of everything predicted.
    answers, confidence, votes: of several answers (segzero/voting.py): what each said, how far
        they agree (0..1), and the overlap under each rule of voting.
    by_mercy: the release's own parser refuses the answer, or reads other numbers in it, and ours reads it.
    """

    id: str
    picture: str
    question: str
    status: str
    problem: str = ""
    kind: str = ""
    text: int = 0
    expression: int = 0
    raw: str = ""
    targets: tuple[dict[str, Any], ...] = ()
    overlap: Overlap | None = None
    foreground: Overlap | None = None
    box_iou: float | None = None
    mask: dict[str, Any] | None = field(default=None, repr=False)
    seconds: dict[str, float] = field(default_factory=dict)
    answers: tuple[str, ...] = ()
    confidence: float | None = None
    votes: dict[str, Overlap] = field(default_factory=dict)
    by_mercy: bool = False

    @property
    def iou(self) -> float:
        """0..1 outside ignored regions: 1 when both are empty, 0 for a failure whatever the truth is."""
        if self.overlap is None or self.status in ("unreadable", "segmenter_error"):
            return 0.0
        return self.overlap.intersection / self.overlap.union if self.overlap.union else 1.0

    def under(self, rule: str) -> Record:
        """The record as it would be under a rule of voting, or of its first answer alone."""
        if rule in self.votes:
            return replace(self, status="ok", overlap=self.votes[rule])
        truth = 0 if self.overlap is None else self.overlap.truth
        return replace(self, status="unreadable", overlap=Overlap(0, truth, 0, truth))


def to_json(record: Record) -> dict[str, Any]:
    """The line of a record, in values that json.dumps takes."""
    line = asdict(record)
    line |= line.pop("overlap") or dict.fromkeys(_COUNTS)
    return line


def from_json(line: dict[str, Any]) -> Record:
    """The inverse of to_json. Raises RecordError."""
    try:
        line = {"by_mercy": bool(line["problem"]), **line}  # lines of before this was told, as it was counted
        counts = {name: line.pop(name) for name in _COUNTS}
        if line["status"] not in STATUSES:
            raise ValueError(f"unknown status {line['status']!r}")
        line["overlap"] = None if counts["union"] is None else Overlap(**counts)
        line["foreground"] = None if line["foreground"] is None else Overlap(**line["foreground"])
        line["votes"] = {rule: Overlap(**counted) for rule, counted in line["votes"].items()}
        line["targets"], line["answers"] = tuple(line["targets"]), tuple(line["answers"])
        return _checked(Record(**{each.name: line[each.name] for each in fields(Record)}))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise RecordError(f"not a sample of an evaluation ({type(error).__name__}: {error})") from error


def _checked(record: Record) -> Record:
    """The record, when all that is read of it later is of its kind. Raises what from_json catches."""
    names = ("id", "picture", "question", "problem", "kind", "raw")
    texts = [*(getattr(record, name) for name in names), *record.answers]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"something other than text in {', '.join(names)} or answers")
    "".join(texts).encode()  # half a character could not be written again
    if type(record.by_mercy) is not bool or not isinstance(record.mask, dict | None):
        raise ValueError("by_mercy is true or false, and a mask is run lengths or null")
    numbers = [record.text, record.expression, *record.seconds.values()]
    numbers += [value for value in (record.box_iou, record.confidence) if value is not None]
    for target in record.targets:
        Target(target["box_xyxy"], target["points_xy"])
        numbers += [] if target["score"] is None else [target["score"]]
    if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
        raise ValueError("something other than a number in text, expression, seconds, scores or box_iou")
    if (record.overlap is None) != (record.status == "left_out"):
        raise ValueError(f"counts that do not go with the status {record.status!r}")
    if bool(record.answers) != (record.confidence is not None):
        raise ValueError("several answers have a confidence, and one has none")
    return record


def read_records(path: Path) -> list[Record]:
    """The records of a JSONL file; a last line that a kill cut off is left away.

    Raises RecordError for another file, OSError for one that cannot be read.
    """
    *whole, _torn = path.read_bytes().split(b"\n")
    records = []
    for number, line in enumerate(whole, start=1):
        try:
            records.append(from_json(json.loads(line)))
        except (ValueError, RecursionError) as error:  # the latter of brackets without end
            raise RecordError(f"{path}, line {number}: {error}") from error
    return records


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write a JSONL file, the whole of it or nothing."""
    write_whole(path, "".join(record_line(record) for record in records))


def record_line(record: Record) -> str:
    """A record as its line."""
    return json.dumps(to_json(record), ensure_ascii=False, allow_nan=False) + "\n"
