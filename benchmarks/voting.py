"""What more answers to a question bring, and cost: rules of voting against one greedy answer, on the mini.

    taskset -c 1 python benchmarks/voting.py            # some 2 minutes of an idle core

Composes 200 test scenes, answers them greedily, then with 3 and with 7 more answers to each question drawn,
which vote by every rule (segzero/voting.py). Gains are paired differences of strict gIoU on the
greedy one, with 95 % intervals over pictures. Writes benchmarks/results/voting.json and the table in
docs/evaluation.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import Any

if not __package__:  # run as a file: Python then looks for modules beside it, not in the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import torch

from benchmarks.composed import scenes, write_table
from segzero.cli import add_model_options, load_pipeline
from segzero.data import Sample
from segzero.evaluation import (
    STRICT,
    Draws,
    Record,
    aggregate_records,
    answer_samples,
    as_plain,
    count_under,
    format_percent,
    measure,
    share_cores,
)
from segzero.pipeline import Pipeline
from segzero.reasoner import TEMPERATURE
from train.mini.evaluate import fingerprint

OUT = Path(__file__).parent / "results" / "voting.json"


def compare_rules(
    pipeline: Pipeline, samples: Sequence[Sample], counts: Sequence[int], at_once: int, temperature: float
) -> dict[str, Any]:
    """gIoU and seconds of the processor, of one greedy answer and of several under each rule."""
    greedy, spent = _answered(pipeline, samples, at_once, None)
    pictures = [record.picture for record in greedy]
    giou = measure([count_under(record, STRICT) for record in greedy], pictures)["gIoU"]
    found = {
        "questions": len(greedy),
        "temperature": temperature,
        "greedy": {"gIoU": as_plain(giou), "cpu_seconds": spent},
    }
    for number in counts:
        drawn, spent = _answered(pipeline, samples, at_once, Draws(number, temperature))
        found[f"answers {number}"] = {**aggregate_records(drawn)["voting"], "cpu_seconds": spent}
    return found


def _answered(
    pipeline: Pipeline, samples: Sequence[Sample], at_once: int, draws: Draws | None
) -> tuple[list[Record], float]:
    """The records in the samples' order, and the seconds of the processor for each."""
    began = process_time()
    records = {
        record.id: record for record in answer_samples(pipeline, samples, at_once=at_once, draws=draws)
    }
    spent = process_time() - began
    return [records[sample.id] for sample in samples], round(spent / len(samples), 4)


def as_table(found: dict[str, Any]) -> list[str]:
    """The numbers as lines of Markdown."""
    greedy = found["greedy"]
    lines = ["| answers | rule | gIoU | gain on greedy | cost |", "|---|---|---|---|---|"]
    lines.append(f"| 1, greedy | | {format_percent(greedy['gIoU'])} | | {greedy['cpu_seconds']:.3f} s |")
    for name, each in found.items():
        if not name.startswith("answers "):
            continue
        times = each["cpu_seconds"] / greedy["cpu_seconds"]
        cost = f"{each['cpu_seconds']:.3f} s ({times:.1f} x)"
        for rule in each["gain"]:
            gain = format_percent(each["gain"][rule], "+")
            number = name.partition(" ")[2]
            lines.append(f"| {number} | {rule} | {format_percent(each['gIoU'][rule])} | {gain} | {cost} |")
    return lines


def in_words(found: dict[str, Any]) -> list[str]:
    """What agreement tells, and what all was measured on."""
    name, last = list(found.items())[-1]
    halves = (last[f"iou_of_{which}_agreeing_half"] for which in ("more", "less"))
    told = "mean IoU {:.2f} in the half of the questions whose answers agree more, {:.2f} in the other"
    about = f"{found['questions']} composed test scenes, weights `{found['weights']}`"
    return [
        f"With {name.partition(' ')[2]} answers: {told.format(*halves)}. Measured on {about}, temperature",
        f"{found['temperature']:g}; cost in seconds of the processor for each question.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--scenes", type=int, default=200)
    add("--answers", type=int, nargs="+", default=[4, 8], help="how many vote (default: 4, then 8)")
    add("--temperature", type=float, default=TEMPERATURE)
    add("--dry", action="store_true", help="only print: write no results and no table")
    add_model_options(parser)
    args = parser.parse_args()
    at_once = share_cores(args.device)
    pipeline = load_pipeline(args)
    with scenes(args.scenes) as samples:
        found = compare_rules(pipeline, samples, args.answers, at_once, args.temperature)
    weights = fingerprint(pipeline.preset.reasoner, pipeline.preset.segmenter)
    found = {"weights": weights, "threads": torch.get_num_threads(), **found}
    lines = [*as_table(found), "", *in_words(found)]
    print(json.dumps(found, indent=2), *lines, sep="\n")
    if not args.dry:
        OUT.write_text(json.dumps(found, indent=2) + "\n")
        write_table("voting", lines)


if __name__ == "__main__":
    main()
