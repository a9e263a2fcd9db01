"""Two runs over the same questions, compared question by question: python -m segzero evaluate --compare A B.

print(compare_files(Path("runs/evaluate/a/samples.jsonl"), Path("runs/evaluate/b/samples.jsonl")))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segzero.evaluation.aggregate import Metrics, as_told, format_percent, format_rows
from segzero.evaluation.metrics import compare
from segzero.evaluation.protocols import PROTOCOLS, STRICT, Protocol, count_under
from segzero.evaluation.record import Record, RecordError, read_records


def compare_files(before: Path, after: Path) -> str:
    """Lines on what `after` gained on `before`. Raises RecordError when they are about other data."""
    sides = [{record.id: record for record in read_records(path)} for path in (before, after)]
    common = [name for name in sides[0] if name in sides[1]]
    pairs = [(sides[0][name], sides[1][name]) for name in common]
    _check_same_data(pairs, before, after)
    lines = [f"{after} - {before}", f"{len(pairs)} questions that both have"]
    for path, side in zip((before, after), sides, strict=True):
        if len(side) > len(common):
            lines.append(f"{len(side) - len(common)} more only in {path}, not compared")
    better = sum(b.iou > a.iou for a, b in pairs)
    worse = sum(b.iou < a.iou for a, b in pairs)
    lines += [f"better {better}, worse {worse}, the same {len(pairs) - better - worse}", ""]
    lines += format_rows(
        "protocol", {name: difference(pairs, way) for name, way in PROTOCOLS.items()}, sign="+"
    )
    kinds = sorted({a.kind for a, _ in pairs if a.kind})
    if len(kinds) > 1:
        of_kind = {
            kind: difference([pair for pair in pairs if pair[0].kind == kind], STRICT) for kind in kinds
        }
        lines += ["", *format_rows("kind, strict", of_kind, sign="+")]
    giou = difference(pairs, STRICT)["gIoU"]
    sure = giou["value"] is not None and (giou["low"] > 0 or giou["high"] < 0)
    verdict = "does not hold 0: a real difference" if sure else "holds 0: no difference is shown"
    return "\n".join([*lines, "", f"strict gIoU {format_percent(giou, '+')}, an interval that {verdict}"])


def difference(pairs: Sequence[tuple[Record, Record]], protocol: Protocol) -> Metrics:
    """after - before of every metric, with paired intervals over pictures."""
    before, after = ([count_under(pair[side], protocol) for pair in pairs] for side in (0, 1))
    return as_told(compare(before, after, [a.picture for a, _ in pairs]), protocol)


def _check_same_data(pairs: Sequence[tuple[Record, Record]], before: Path, after: Path) -> None:
    if not pairs:
        raise RecordError(f"{before} and {after} have no question in common")
    for a, b in pairs:
        truths = [side.overlap.truth if side.overlap else None for side in (a, b)]
        if a.question != b.question or (None not in truths and truths[0] != truths[1]):
            raise RecordError(f"{before} and {after} are about other data: {a.id} is not the same question")
