"""Answer many questions and count the answers: the loop behind `python -m segzero evaluate`.

    for records in answer_batches(pipeline, batches(samples, 16)):
        ...                                             # a Record for each sample of a batch, in order

While the reasoner writes the answers to one batch, the segmenter marks those of the batch before, and the
pictures of the next one are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from PIL import Image

from segzero.answer import parse_answer
from segzero.dataset import Loaded, Sample, left_out, load
from segzero.export import encode_mask
from segzero.geometry import Target, mask_to_box, to_frame
from segzero.metrics import hull_iou, overlap
from segzero.pipeline import Pipeline
from segzero.record import Record
from segzero.segmenter import SegmenterError
from segzero.voting import ONE, RULES, Vote, vote

TEMPERATURE = 0.7
_SEEDS_A_BATCH = 1 << 12  # a server takes one for each answer


@dataclass(frozen=True)
class Draws:
    """How many answers to draw for each question, and how boldly. The seed is that of the first batch."""

    count: int
    temperature: float = TEMPERATURE
    seed: int = 0


@dataclass(frozen=True, eq=False)
class _Ready:
    """A sample whose files were read: a record instead of them where they could not be used."""

    sample: Sample
    loaded: Loaded | None = None
    frame: Image.Image | None = None
    refused: Record | None = None


@dataclass(frozen=True, eq=False)
class _Attempt:
    """One answer. mask: (H, W) bool, None when it failed."""

    text: str
    status: str
    problem: str
    targets: tuple[Target, ...]
    scores: tuple[float, ...]
    mask: np.ndarray | None


def batches(samples: Sequence[Sample], size: int) -> list[Sequence[Sample]]:
    """The samples in their order, `size` at a time."""
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def answer_batches(
    pipeline: Pipeline,
    todo: Sequence[Sequence[Sample]],
    draws: Draws | None = None,
    numbers: Sequence[int] | None = None,
) -> Iterator[list[Record]]:
    """Yield the records of each batch, in order. Raises what the models raise, but not SegmenterError.

    draws: None answers once and greedily, as the published results are; else see segzero.voting.
    numbers: each batch's number, for its seed, so that a run that goes on draws what it would have drawn.
    """
    numbers = range(len(todo)) if numbers is None else numbers
    with ThreadPoolExecutor(1, "pictures") as reader, ThreadPoolExecutor(1, "segmenter") as marker:
        coming = reader.submit(_read, pipeline, todo[0]) if todo else None
        marked: Future | None = None
        for index, number in enumerate(numbers):
            ready = coming.result()
            if index + 1 < len(todo):
                coming = reader.submit(_read, pipeline, todo[index + 1])
            texts, seconds = _reason(pipeline, ready, draws, number)
            previous, marked = marked, marker.submit(_count, pipeline, ready, texts, seconds, draws)
            if previous is not None:
                yield previous.result()
        if marked is not None:
            yield marked.result()


def _read(pipeline: Pipeline, batch: Sequence[Sample]) -> list[_Ready]:
    """The files of a batch, and the pictures as the reasoner sees them."""
    ready = []
    for sample in batch:
        try:
            loaded = load(sample)
        except ValueError as error:
            why = left_out(sample.id, error)
            problem = f"{why.reason}: {why.detail}" if why.detail else why.reason
            ready.append(_Ready(sample, refused=_record(sample, status="left_out", problem=problem)))
            continue
        ready.append(_Ready(sample, loaded, to_frame(loaded.picture, pipeline.preset.frame_px)))
    return ready


def _reason(
    pipeline: Pipeline, ready: Sequence[_Ready], draws: Draws | None, number: int
) -> tuple[list[str], float]:
    """The texts for the usable samples of a batch, and seconds a sample."""
    asked = [each for each in ready if each.refused is None]
    if not asked:
        return [], 0.0
    how = {}
    if draws is not None:
        how = {
            "draws": draws.count,
            "temperature": draws.temperature,
            "seed": draws.seed + number * _SEEDS_A_BATCH,
        }
    prompts = [pipeline.preset.dialect.prompt(each.sample.question) for each in asked]
    began = perf_counter()
    texts = pipeline.reasoner.generate([each.frame for each in asked], prompts, **how)
    return texts, (perf_counter() - began) / len(asked)


def _count(
    pipeline: Pipeline, ready: Sequence[_Ready], texts: list[str], seconds: float, draws: Draws | None
) -> list[Record]:
    """Mark what the texts point at, and count it."""
    share, waiting = (1 if draws is None else draws.count), iter(texts)
    records = []
    for each in ready:
        if each.refused is not None:
            records.append(each.refused)
            continue
        began = perf_counter()
        attempts = [attempt(pipeline, each.loaded.picture, next(waiting)) for _ in range(share)]
        spent = {"reasoning": seconds, "segmentation": perf_counter() - began}
        record = judge(each.sample, each.loaded, attempts, voting=draws is not None)
        records.append(replace(record, seconds={name: round(value, 4) for name, value in spent.items()}))
    return records


def attempt(pipeline: Pipeline, picture: Image.Image, text: str) -> _Attempt:
    """Read one answer about an upright picture, and mark what it points at."""
    preset = pipeline.preset
    text = text.encode("utf-8", "replace").decode("utf-8")  # a server may send halves of characters
    answer = parse_answer(text, preset.dialect, (preset.frame_px,) * 2, picture.size)
    if not answer.targets:
        empty = None if answer.status == "unreadable" else np.zeros(picture.size[::-1], bool)
        return _Attempt(text, answer.status, answer.problem, (), (), empty)
    try:
        found = pipeline.segmenter.segment(picture, answer.targets)
    except SegmenterError as error:
        return _Attempt(text, "segmenter_error", str(error), answer.targets, (), None)
    scores = tuple(float(score) for score in found.scores)
    return _Attempt(text, answer.status, answer.problem, answer.targets, scores, found.masks.any(axis=0))


def judge(sample: Sample, loaded: Loaded, attempts: Sequence[_Attempt], *, voting: bool) -> Record:
    """The record of a sample: its one answer, or what its answers vote for, held against the truth."""
    chosen, voted = attempts[0], None
    if voting and any(each.mask is not None for each in attempts):
        voted = vote([each.mask for each in attempts])
        chosen = attempts[voted.medoid]
        chosen = replace(chosen, mask=voted.masks[RULES[0]])
    mask = np.zeros(loaded.truth.shape, bool) if chosen.mask is None else chosen.mask
    boxes = [(x1, y1, x2 + 1, y2 + 1) for x1, y1, x2, y2 in map(mask_to_box, loaded.masks)]
    record = _record(
        sample,
        status=chosen.status,
        problem=chosen.problem,
        raw=chosen.text,
        targets=_plain(chosen),
        overlap=overlap(mask, loaded.truth, loaded.ignore),
        box_iou=hull_iou([target.box_xyxy for target in chosen.targets], boxes) if boxes else None,
        mask=encode_mask(mask),
    )
    if loaded.ignore is not None:
        record = replace(record, foreground=overlap(mask, loaded.truth | loaded.ignore))
    return _with_votes(record, loaded, attempts, voted) if voting else record


def _with_votes(record: Record, loaded: Loaded, attempts: Sequence[_Attempt], voted: Vote | None) -> Record:
    """The record with what each rule of voting, and the first answer alone, would have given; failures give
    nothing."""
    masks = {} if voted is None else dict(voted.masks)
    if attempts[0].mask is not None:
        masks[ONE] = attempts[0].mask
    return replace(
        record,
        answers=tuple(each.text for each in attempts),
        confidence=0.0 if voted is None else voted.agreement,
        votes={rule: overlap(mask, loaded.truth, loaded.ignore) for rule, mask in masks.items()},
    )


def _plain(chosen: _Attempt) -> tuple[dict, ...]:
    """The targets as a record has them; without scores where the segmenter failed."""
    scores = chosen.scores or (None,) * len(chosen.targets)
    return tuple(
        {
            "box_xyxy": list(target.box_xyxy),
            "points_xy": [list(point) for point in target.points_xy],
            "score": score,
        }
        for target, score in zip(chosen.targets, scores, strict=True)
    )


def _record(sample: Sample, **given) -> Record:
    return Record(
        id=sample.id,
        picture=sample.image,
        question=sample.question,
        kind=sample.kind,
        text=sample.text,
        expression=sample.expression,
        **given,
    )
