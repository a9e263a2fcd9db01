"""Answer many questions and count the answers: the loop behind `python -m segzero evaluate`.

    for record in answer(pipeline, samples, at_once=16): ...          # as they end, not in their order

While the reasoner writes answers, the segmenter marks what earlier ones point at, and pictures of later ones
are read, each on a thread of its own.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue
from time import perf_counter

import numpy as np
from PIL import Image

from segzero.answer import parse_answer
from segzero.asks import Ask
from segzero.dataset import Loaded, Sample, left_out, load
from segzero.export import encode_mask
from segzero.geometry import Target, mask_to_box, to_frame
from segzero.metrics import hull_iou, overlap
from segzero.pipeline import Pipeline
from segzero.record import Record
from segzero.segmenter import SegmenterError
from segzero.voting import ONE, RULES, Vote, vote

TEMPERATURE = 0.7
AHEAD = 16  # pictures read before they are wanted


@dataclass(frozen=True)
class Draws:
    """How many answers to draw for each question, and how boldly."""

    count: int
    temperature: float = TEMPERATURE


@dataclass(eq=False)
class _Open:
    """A sample on its way: its files, when it was asked, and the answers that have come, by their number."""

    sample: Sample
    loaded: Loaded
    frame: Image.Image
    asked: float = 0.0
    texts: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Attempt:
    """One answer. mask: (H, W) bool, None when it failed."""

    text: str
    status: str
    problem: str
    targets: tuple[Target, ...]
    scores: tuple[float, ...]
    mask: np.ndarray | None


def answer(
    pipeline: Pipeline, samples: Iterable[Sample], *, at_once: int, draws: Draws | None = None
) -> Iterator[Record]:
    """Yield the record of each sample as it is done. Raises what the models raise, but not SegmenterError.

    at_once: how many answers the reasoner writes at a time. draws: None answers once and greedily, as the
    published results are; else see segzero.voting.
    """
    share = 1 if draws is None else draws.count
    opened: dict[str, _Open] = {}
    refused: SimpleQueue[Record] = SimpleQueue()
    marking: deque[Future[Record]] = deque()
    with ThreadPoolExecutor(1, "pictures") as reader, ThreadPoolExecutor(1, "segmenter") as marker:
        read = partial(_read, frame_px=pipeline.preset.frame_px)
        asks = _asks(_ahead(reader, read, samples), pipeline, draws, opened, refused)
        for (name, number), text in pipeline.reasoner.answer_all(asks, max(at_once, share)):
            opened[name].texts[number] = text
            if len(opened[name].texts) == share:
                marking.append(marker.submit(_mark, pipeline, opened.pop(name), voting=draws is not None))
            while marking and (marking[0].done() or len(marking) > 2 * at_once):  # pictures take memory
                yield marking.popleft().result()
            yield from _drain(refused)
        while marking:
            yield marking.popleft().result()
        yield from _drain(refused)


def _asks(
    ready: Iterable[_Open | Record],
    pipeline: Pipeline,
    draws: Draws | None,
    opened: dict[str, _Open],
    refused: SimpleQueue[Record],
) -> Iterator[Ask]:
    """The questions for the reasoner, which takes them on its own thread; what cannot be asked is refused."""
    for each in ready:
        if isinstance(each, Record):
            refused.put(each)
            continue
        name, prompt = each.sample.id, pipeline.preset.dialect.prompt(each.sample.question)
        opened[name] = each
        each.asked = perf_counter()
        if draws is None:
            yield Ask((name, 0), each.frame, prompt)
            continue
        for number in range(draws.count):
            yield Ask((name, number), each.frame, prompt, draws.temperature, _seed(name, number))


def _seed(name: str, number: int) -> int:
    """A seed that a sample's answer always has, so that a run that goes on draws what it would have drawn."""
    return int.from_bytes(hashlib.blake2b(f"{name}/{number}".encode(), digest_size=4).digest(), "big")


def _ahead(pool: ThreadPoolExecutor, read: Callable, samples: Iterable[Sample]) -> Iterator[_Open | Record]:
    """read(sample) of each, in order, AHEAD of them begun before they are wanted."""
    coming: deque[Future] = deque()
    for sample in samples:
        coming.append(pool.submit(read, sample))
        if len(coming) > AHEAD:
            yield coming.popleft().result()
    while coming:
        yield coming.popleft().result()


def _read(sample: Sample, frame_px: int) -> _Open | Record:
    """A sample's files, and the picture as the reasoner sees it; or the record of one that cannot be used."""
    try:
        loaded = load(sample)
    except ValueError as error:
        why = left_out(sample.id, error)
        problem = f"{why.reason}: {why.detail}" if why.detail else why.reason
        return _record(sample, status="left_out", problem=problem)
    return _Open(sample, loaded, to_frame(loaded.picture, frame_px))


def _drain(records: SimpleQueue[Record]) -> Iterator[Record]:
    while not records.empty():
        yield records.get()


def _mark(pipeline: Pipeline, done: _Open, *, voting: bool) -> Record:
    """Mark what a sample's answers point at, and count it."""
    began = perf_counter()
    texts = [done.texts[number] for number in sorted(done.texts)]
    attempts = [attempt(pipeline, done.loaded.picture, text) for text in texts]
    spent = {"reasoning": began - done.asked, "segmentation": perf_counter() - began}
    record = judge(done.sample, done.loaded, attempts, voting=voting)
    return replace(record, seconds={name: round(value, 4) for name, value in spent.items()})


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
