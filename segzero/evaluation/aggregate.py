"""What an evaluation comes to: every metric under every protocol, as JSON and as lines to read.

totals = aggregate_records(records)
print(format_table(totals))
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from segzero.evaluation.metrics import Estimate, compare, measure
from segzero.evaluation.protocols import PROTOCOLS, STRICT, Protocol, count_under
from segzero.evaluation.record import Record
from segzero.pictures import plural
from segzero.voting import ONE, RULES

_SHOWN = {"gIoU": 23, "cIoU": 23, "P@0.5": 7, "box@0.5": 7, "T-acc": 7, "N-acc": 7}
"""The metrics in the table and how wide they are; only the first two have room for their intervals."""
Metrics = dict[str, dict[str, float | int | None]]


def aggregate_records(records: Sequence[Record]) -> dict[str, Any]:
    """The totals of records, in values that json.dumps takes; what no sample tells is None."""
    used = [record for record in records if record.status != "left_out"]
    kinds = sorted({record.kind for record in used if record.kind})
    found = {
        "questions": len(records),
        "pictures": len({record.picture for record in records}),
        "statuses": dict(Counter(record.status for record in records).most_common()),
        "accepted_by_mercy": sum(record.by_mercy for record in used),
        "protocols": {name: _metrics(used, protocol) for name, protocol in PROTOCOLS.items()},
        "kinds": {kind: _metrics([r for r in used if r.kind == kind], STRICT) for kind in kinds},
        "seconds": {
            name: round(float(np.mean([record.seconds[name] for record in used])), 4)
            for name in ("reasoning", "segmentation")
            if used and all(name in record.seconds for record in used)
        },
    }
    drawn = [record for record in used if record.answers]
    return {**found, "voting": _voting(drawn)} if drawn else found


def format_table(totals: dict[str, Any]) -> str:
    """The totals as lines: percent with 95 % intervals."""
    statuses = ", ".join(
        f"{number} {status.replace('_', ' ')}" for status, number in totals["statuses"].items()
    )
    about = f"{plural(totals['questions'], 'question')} about {plural(totals['pictures'], 'picture')}"
    lines = [f"{about}: {statuses}", ""]
    lines += format_rows("protocol", totals["protocols"])
    if len(totals["kinds"]) > 1:
        lines += ["", *format_rows("kind, strict", totals["kinds"])]
    if "voting" in totals:
        lines += ["", *_voting_lines(totals["voting"])]
    return "\n".join(lines)


def format_rows(title: str, metrics: dict[str, Metrics], sign: str = "") -> list[str]:
    """A line for each set of metrics, under a head; columns that nothing is known of are left away.

    sign: "+" for differences.
    """
    shown = [name for name in _SHOWN if any(each[name]["value"] is not None for each in metrics.values())]
    wide = max(len(title), *map(len, metrics))
    lines = [f"{title:{wide}}  {'n':>6}  " + "  ".join(f"{name:{_SHOWN[name]}}" for name in shown).rstrip()]
    for name, each in metrics.items():
        cells = "  ".join(f"{_cell(metric, each[metric], sign):{_SHOWN[metric]}}" for metric in shown)
        lines.append(f"{name:{wide}}  {each['gIoU']['count']:>6}  {cells}".rstrip())
    return lines


def format_percent(estimate: dict[str, float | int | None], sign: str = "") -> str:
    """ "62.6 [57.1, 67.8]", or a dash where there is nothing. sign: "+" shows the sign of a difference."""
    if estimate["value"] is None:
        return "-"
    value, low, high = (f"{100 * estimate[name]:{sign}.1f}" for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _cell(metric: str, estimate: dict[str, float | int | None], sign: str) -> str:
    text = format_percent(estimate, sign)
    return text if metric in ("gIoU", "cIoU") else text.partition(" ")[0]


def as_plain(estimate: Estimate) -> dict[str, float | int | None]:
    """An estimate in values that JSON knows: it has no nan."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in asdict(estimate).items()
    }


def as_told(estimates: dict[str, Estimate], protocol: Protocol) -> Metrics:
    """Metrics in plain values. Where a protocol drops honest answers of nothing, N-acc would be of the others
    alone: there is none."""
    metrics = {name: as_plain(estimate) for name, estimate in estimates.items()}
    if protocol.both_empty is None:
        metrics["N-acc"] = as_plain(Estimate(math.nan, math.nan, math.nan, 0))
    return metrics


def _metrics(records: Sequence[Record], protocol: Protocol) -> Metrics:
    counted = [count_under(record, protocol) for record in records]
    return as_told(measure(counted, [record.picture for record in records]), protocol)


def _voting(records: Sequence[Record]) -> dict[str, Any]:
    """gIoU of each rule, strict; its gain on the greedy answer; what agreement tells of being right."""
    pictures = [record.picture for record in records]
    voted = [record.votes for record in records if record.votes.keys() - {ONE}]
    rules = [rule for rule in RULES if all(rule in votes for votes in voted)]  # a run of before has fewer
    by_rule = {
        rule: [count_under(record.under(rule), STRICT) for record in records] for rule in (*rules, ONE)
    }
    one = by_rule[ONE]
    order = np.argsort([-record.confidence for record in records], kind="stable")
    half = len(order) // 2
    iou = np.array([record.iou for record in records])
    return {
        "answers": len(records[0].answers),
        "gIoU": {rule: as_plain(measure(samples, pictures)["gIoU"]) for rule, samples in by_rule.items()},
        "gain": {
            rule: as_plain(compare(one, samples, pictures)["gIoU"])
            for rule, samples in by_rule.items()
            if rule != ONE
        },
        "agreement": round(float(np.mean([record.confidence for record in records])), 4),
        "iou_of_more_agreeing_half": round(float(iou[order[:half]].mean()), 4) if half else None,
        "iou_of_less_agreeing_half": round(float(iou[order[half:]].mean()), 4) if half else None,
    }


def _voting_lines(voting: dict[str, Any]) -> list[str]:
    lines = [f"{voting['answers']} answers to each question, which agree by {voting['agreement']:.2f}"]
    for rule, estimate in voting["gIoU"].items():
        gain = f"  gain {format_percent(voting['gain'][rule], '+')}" if rule in voting["gain"] else ""
        lines.append(f"  {rule:16}  gIoU {format_percent(estimate)}{gain}")
    if voting["iou_of_more_agreeing_half"] is not None:
        more, less = (voting[f"iou_of_{which}_agreeing_half"] for which in ("more", "less"))
        lines.append(f"  mean IoU {more:.3f} where they agree more, {less:.3f} where less")
    return lines
