"""The arms' answers: greedy and in batches, as `segzero evaluate` has them, kept as its records.

    asked = Asked(bench, Segmenter.load("assets/mini/segmenter"))
    asked.records(ARMS["grpo"], seed=1, of=SETS[0])
    asked.records(ARMS["grpo"], seed=1, of=SETS[0], prompts="box")    # the same answers, other masks

An answer gives a box and a point for each object. To see what each of them is worth to the segmenter, masks
are made again from the box alone, and from the point alone. The segmenter takes no point without a box, so
there the box is the whole picture, which says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.claims import data
from benchmarks.claims.arms import ROOT, Arm, Bench
from segzero.contract import PRESETS, Target, preset_for_folder
from segzero.data import Sample, load_sample, read_samples
from segzero.evaluation import ON_A_CPU, Record, answer_samples, overlap, read_records, write_records
from segzero.pictures import encode_mask
from segzero.pipeline import Pipeline
from segzero.reasoner import Reasoner
from segzero.segmenter import Segmenter, SegmenterError

PROMPTS = ("both", "box", "points")
_AT_ONCE = 16  # pictures whose masks are made together


@dataclass(frozen=True)
class Asked:
    """Asks a bench's arms, and keeps what they answered."""

    bench: Bench
    segmenter: Segmenter

    def path(self, arm: Arm, seed: int, of: data.Questions, prompts: str = "both") -> Path:
        suffix = "" if prompts == "both" else f".{prompts}"
        return self.bench.folder(arm, seed) / f"{of.name}-{self.bench.questions}{suffix}.jsonl"

    def samples(self, of: data.Questions) -> list[Sample]:
        """The questions of a set, composed unless they are there."""
        return read_samples(data.written(ROOT / "data", of, self.bench.questions, seed=0))[0]

    def records(self, arm: Arm, seed: int, of: data.Questions, prompts: str = "both") -> list[Record]:
        """An arm's records in the order of the questions, asked for unless they are there."""
        path = self.path(arm, seed, of, prompts)
        if not path.exists():
            samples = self.samples(of)
            found = (
                self._answers(arm, seed, samples, of.name)
                if prompts == "both"
                else remade(self.records(arm, seed, of), samples, prompts, self.segmenter)
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            write_records(path, found)
        return read_records(path)

    def _answers(self, arm: Arm, seed: int, samples: Sequence[Sample], name: str) -> list[Record]:
        preset = preset_for_folder(self.bench.start, PRESETS["mini"])  # one limit of tokens for all
        reasoner = Reasoner.load(
            self.bench.model(arm, seed), device="cpu", max_new_tokens=preset.max_new_tokens
        )
        answers = answer_samples(Pipeline(reasoner, self.segmenter, preset), samples, at_once=ON_A_CPU)
        found = {record.id: record for record in tqdm(answers, name, len(samples), leave=False)}
        return [found[sample.id] for sample in samples]


def remade(
    records: Sequence[Record], samples: Sequence[Sample], prompts: str, segmenter: Segmenter
) -> list[Record]:
    """The records with masks from other prompts. prompts: "box" or "points"; see the module's docstring."""
    pairs = iter(zip(records, samples, strict=True))
    return [
        each
        for some in iter(lambda: list(islice(pairs, _AT_ONCE)), [])
        for each in _some(some, prompts, segmenter)
    ]


def _some(pairs: Sequence[tuple[Record, Sample]], prompts: str, segmenter: Segmenter) -> Iterator[Record]:
    loaded = [load_sample(sample) for _, sample in pairs]
    asked = [
        (each.picture, [prompt(target, prompts, each.picture.size) for target in record.targets])
        for (record, _), each in zip(pairs, loaded, strict=True)
    ]
    for (record, _), each, found in zip(pairs, loaded, segmenter.segment_each(asked), strict=True):
        if not record.targets:
            yield record
        elif isinstance(found, SegmenterError):
            nothing = overlap(np.zeros(each.truth.shape, bool), each.truth)
            yield replace(record, status="segmenter_error", problem=str(found), overlap=nothing)
        else:
            mask = found.masks.any(axis=0)
            yield replace(
                record, status="ok", problem="", overlap=overlap(mask, each.truth), mask=encode_mask(mask)
            )


def prompt(target: dict, prompts: str, image_wh: tuple[int, int]) -> Target:
    """A record's target with its box alone, or its points alone in a box that is the whole picture."""
    if prompts == "box":
        return Target(tuple(target["box_xyxy"]))
    points = tuple(tuple(point) for point in target["points_xy"])
    return Target((0, 0, image_wh[0] - 1, image_wh[1] - 1), points)
