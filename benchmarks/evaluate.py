"""How fast `segzero evaluate` is: against one question at a time, in the same run, on the same questions.

    taskset -c 1 python benchmarks/evaluate.py --out benchmarks/results/evaluate.json
    python benchmarks/evaluate.py --data data/reasonseg-val --preset seg-zero-7b

The loop it is held against is written as the reference's script is: picture, prompt, generate, parse, a call
of the segmenter for each object. Both use the same models and contract and all cores: the loop for one thing
after the other, the evaluation half of them for each of two things at once. They take turns on parts of the
data, so that a machine which is busy at times is so for both; seconds of the processor are counted as well,
which others' work disturbs less.

Without --data it composes test scenes, 96 questions about as many pictures and 96 about 24: benchmarks ask
about a picture once (ReasonSeg) or often (RefCOCO: seven times), and writes the table in docs/evaluation.md.
Prints, and writes where asked, one JSON with samples a second of each way, their ratio, and the gIoU of each.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time

if not __package__:  # run as a file: Python then looks for modules beside it, not in the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np
import torch

from benchmarks.composed import scenes, write_table
from segzero.cli import add_model_options, load_pipeline
from segzero.contract import STOP
from segzero.data import Sample, load_sample, read_samples
from segzero.evaluation import ON_A_CPU, ON_A_GPU, Overlap, answer_samples, overlap
from segzero.pipeline import Pipeline
from train.mini.evaluate import fingerprint

WARM_UP = 2
QUESTIONS = 96


def one_at_a_time(pipeline: Pipeline, samples: Sequence[Sample]) -> list[Overlap]:
    """The plain loop: transformers' generate for one question, then one mask after the other."""
    return [_plain(pipeline, sample) for sample in samples]


@torch.no_grad()
def _plain(pipeline: Pipeline, sample: Sample) -> Overlap:
    preset, reasoner, loaded = pipeline.preset, pipeline.reasoner, load_sample(sample)
    frame, prompt = preset.frame.show(loaded.picture), preset.dialect.prompt(sample.question)
    inputs = reasoner.encoder([frame], [prompt]).to(reasoner.model.device)
    ids = reasoner.model.generate(
        **inputs,
        do_sample=False,
        temperature=None,
        top_p=None,
        top_k=None,
        max_new_tokens=preset.max_new_tokens,
    )
    new = ids[0, inputs["input_ids"].shape[1] :]
    text = reasoner.encoder.processor.tokenizer.decode(new, skip_special_tokens=True)
    text = text[: text.find(STOP) + len(STOP)] if STOP in text else text
    said = preset.parse(text, loaded.picture.size)
    mask = np.zeros(loaded.truth.shape, bool)
    for target in said.targets:
        mask |= pipeline.segmenter.segment(loaded.picture, [target]).masks[0]
    return overlap(mask, loaded.truth, loaded.ignore)


def in_batches(at_once: int) -> Callable[[Pipeline, Sequence[Sample]], list[Overlap]]:
    """What `segzero evaluate` does, without its files."""

    def run(pipeline: Pipeline, samples: Sequence[Sample]) -> list[Overlap]:
        found = {record.id: record.overlap for record in answer_samples(pipeline, samples, at_once=at_once)}
        return [found[sample.id] for sample in samples]

    return run


def measure(pipeline: Pipeline, samples: Sequence[Sample], at_once: int, turns: int) -> dict:
    """Both ways on the same samples, taking turns, each with the threads it is best with."""
    cores = torch.get_num_threads()
    ways = {
        "one_at_a_time": (one_at_a_time, cores),
        "in_batches": (in_batches(at_once), max(1, cores // 2) if on_a_cpu(pipeline) else cores),
    }
    wall, cpu = dict.fromkeys(ways, 0.0), dict.fromkeys(ways, 0.0)
    overlaps: dict[str, list[Overlap]] = {name: [] for name in ways}
    parts = [
        samples[:WARM_UP],
        *([samples[i] for i in part] for part in np.array_split(np.arange(len(samples)), turns)),
    ]
    for number, part in enumerate(parts):
        for name, (way, threads) in ways.items():
            torch.set_num_threads(threads)
            began, spent = perf_counter(), process_time()
            found = way(pipeline, part)
            if number:  # after the warm-up
                overlaps[name] += found
                wall[name] += perf_counter() - began
                cpu[name] += process_time() - spent
    torch.set_num_threads(cores)
    return {
        "questions": len(samples),
        "pictures": len({sample.image for sample in samples}),
        "batch": at_once,
        "threads": {name: threads for name, (_, threads) in ways.items()},
        "samples_a_second": {name: round(len(samples) / seconds, 3) for name, seconds in wall.items()},
        "cpu_seconds_a_sample": {name: round(seconds / len(samples), 4) for name, seconds in cpu.items()},
        "ratio": round(wall["one_at_a_time"] / wall["in_batches"], 2),
        "cpu_ratio": round(cpu["one_at_a_time"] / cpu["in_batches"], 2),
        "giou": {
            name: round(float(np.mean([_iou(one) for one in each])), 4) for name, each in overlaps.items()
        },
        "samples_counted_alike": sum(a == b for a, b in zip(*overlaps.values(), strict=True)),
    }


def as_table(found: dict) -> list[str]:
    """The numbers on composed scenes as lines of Markdown."""
    lines = ["| questions | one at a time | evaluate | ratio | by the clock |", "|---|---|---|---|---|"]
    for name, each in found.items():
        if isinstance(each, dict):
            plain, ours = (f"{spent:.3f} s" for spent in each["cpu_seconds_a_sample"].values())
            lines.append(f"| {name} | {plain} | {ours} | {each['cpu_ratio']:.1f} x | {each['ratio']:.1f} x |")
    cores = "one core" if found["cores"] == 1 else f"{found['cores']} cores"
    busy = f"for which {found['processes_waiting_for_a_core']:g} processes waited"
    about = f"weights `{found['weights']}`, {cores}, {busy}"
    return [*lines, "", f"Seconds of the processor for each question, at the same masks; {about}."]


def on_a_cpu(pipeline: Pipeline) -> bool:
    return pipeline.reasoner.model.device.type == "cpu"


def _iou(one: Overlap) -> float:
    return one.intersection / one.union if one.union else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, nargs="*", metavar="FOLDER", help="in the local format")
    add("--batch", type=int, help="answers written at a time (default: as `segzero evaluate` has it)")
    add("--limit", type=int, help="only the first so many questions")
    add("--turns", type=int, default=2, help="into how many parts the data is cut (default: 2)")
    add("--out", type=Path, metavar="JSON", help="write the numbers there as well")
    add_model_options(parser)
    args = parser.parse_args()
    pipeline = load_pipeline(args)
    at_once = args.batch or (ON_A_CPU if on_a_cpu(pipeline) else ON_A_GPU)
    machine = platform.machine() if on_a_cpu(pipeline) else torch.cuda.get_device_name()
    found = {
        "device": str(pipeline.reasoner.model.device),
        "machine": machine,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processes_waiting_for_a_core": round(os.getloadavg()[0], 1),
        "weights": fingerprint(pipeline.preset.reasoner, pipeline.preset.segmenter),
    }
    for folder in args.data or ():
        samples = read_samples(folder)[0][: args.limit]
        found[folder.name] = measure(pipeline, samples, at_once, args.turns)
    for each in () if args.data else (1, 4):
        with scenes(QUESTIONS // each, each) as samples:
            found[f"{each} a picture"] = measure(pipeline, samples[: args.limit], at_once, args.turns)
    print(json.dumps(found, indent=2))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(found, indent=2) + "\n")
    if not args.data:
        write_table("speed", as_table(found))


if __name__ == "__main__":
    main()
