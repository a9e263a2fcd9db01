"""Answer many questions and count the answers: the loop behind `python -m segzero evaluate`.

    for record in answer(pipeline, samples, at_once=16): ...          # as they end, not in their order

While the reasoner writes answers, the segmenter marks what earlier ones point at, and pictures of later ones
are read, each on a thread of its own.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue
from time import perf_counter

from PIL import Image

from segzero.asks import Ask
from segzero.dataset import Loaded, Sample, left_out, load
from segzero.geometry import to_frame
from segzero.judging import attempt, judge, record_of
from segzero.pipeline import Pipeline
from segzero.record import Record

TEMPERATURE = 0.7
AHEAD = 16  # pictures read before they are wanted
ON_A_GPU, ON_A_CPU = 16, 48
"""Answers written at a time. A 7B's keys and values are 0.1 GB an answer; on a CPU models are small."""


@dataclass(frozen=True)
class Draws:
    """How many answers to draw for each question, and how boldly."""

    count: int
    temperature: float = TEMPERATURE


@dataclass(eq=False)
class _Open:
    """A sample on its way: its files, the answers that have come, by their number, when it was asked, and how
    much of the reasoner's time has been its own."""

    sample: Sample
    loaded: Loaded
    frame: Image.Image
    asked: float = 0.0
    reasoning: float = 0.0
    texts: dict[int, str] = field(default_factory=dict)


def fit(device: str | None) -> int:
    """Prepare this process for `answer` on a device, None the best. -> how many answers to write at a time.

    On a CPU reasoner and segmenter get half the cores each: with all of them for both they stand in each
    other's way (8.5 questions a second instead of 13.5 on two busy cores). Call it before models are loaded.
    """
    import torch  # the models bring it anyway

    from segzero.reasoner import best_device

    if not (device or best_device()).startswith("cpu"):
        return ON_A_GPU
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // 2))
    return ON_A_CPU


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
        rows = max(at_once, share)
        for (name, number), text in pipeline.reasoner.answer_all(asks, rows):
            opened[name].texts[number] = text
            if len(opened[name].texts) == share:
                opened[name].reasoning = (perf_counter() - opened[name].asked) * share / rows
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
        return record_of(sample, status="left_out", problem=problem)
    return _Open(sample, loaded, to_frame(loaded.picture, frame_px))


def _drain(records: SimpleQueue[Record]) -> Iterator[Record]:
    while not records.empty():
        yield records.get()


def _mark(pipeline: Pipeline, done: _Open, *, voting: bool) -> Record:
    """Mark what a sample's answers point at, and count it."""
    began = perf_counter()
    texts = [done.texts[number] for number in sorted(done.texts)]
    attempts = [attempt(pipeline, done.loaded.picture, text) for text in texts]
    spent = {"reasoning": done.reasoning, "segmentation": perf_counter() - began}
    record = judge(done.sample, done.loaded, attempts, voting=voting)
    return replace(record, seconds={name: round(value, 4) for name, value in spent.items()})
