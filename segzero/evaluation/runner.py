"""Answer many questions and count the answers: the loop behind `python -m segzero evaluate`.

    for record in answer_samples(pipeline, samples, at_once=16): ...  # as they end

While the reasoner writes answers, the segmenter marks what earlier ones point at, several together, and
pictures of later ones are read, each on a thread of its own. A picture that several questions in a row are
about is read once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter

from PIL import Image

from segzero.data import LoadedSample, Sample, leave_out, load_sample
from segzero.evaluation.record import Record
from segzero.evaluation.scoring import attempt_each, record_of, score_sample
from segzero.pictures import load_picture
from segzero.pipeline import Pipeline
from segzero.reasoner import TEMPERATURE, Request, several

AHEAD = 16  # questions whose files are read before they are wanted
ON_A_GPU, ON_A_CPU = 16, 48
"""Answers written at a time. A 7B's keys and values are 0.1 GB an answer; on a CPU models are small."""


@dataclass(frozen=True)
class Draws:
    """How many answers to each question: the first greedy, the others drawn, and how boldly."""

    count: int
    temperature: float = TEMPERATURE


@dataclass(eq=False)
class _Open:
    """A sample on its way: its files, the answers that have come, by their number, when it was asked, and how
    much of the reasoner's time has been its own."""

    sample: Sample
    loaded: LoadedSample
    frame: Image.Image
    asked: float = 0.0
    reasoning: float = 0.0
    texts: dict[int, str] = field(default_factory=dict)


def share_cores(device: str | None) -> int:
    """Share this machine's cores between the two models; returns how many answers to write at a time.

    device: as `segzero.load` takes it. On a CPU reasoner and segmenter get half the cores each: with all of
    them for both they stand in each other's way (8.5 questions a second instead of 13.5 on two busy cores).
    Call it before models are loaded.
    """
    import torch  # the models bring it anyway

    from segzero.weights import best_device

    if not (device or best_device()).startswith("cpu"):
        return ON_A_GPU
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // 2))
    return ON_A_CPU


def refused_record(sample: Sample) -> Record | None:
    """The record of a sample whose picture or truth cannot be used; None when both can. Asks no model."""
    try:
        load_sample(sample)
    except ValueError as error:
        return _left_out(sample, error)
    return None


def answer_samples(
    pipeline: Pipeline, samples: Iterable[Sample], *, at_once: int, draws: Draws | None = None
) -> Iterator[Record]:
    """Yield the record of each sample as it is done. Raises what the models raise, but not SegmenterError.

    at_once: how many answers the reasoner writes at a time. draws: None answers once and greedily, as the
    published results are; else more answers are drawn beside that one, and vote (segzero/voting.py).
    """
    share = 1 if draws is None else draws.count
    opened: dict[str, _Open] = {}
    refused: SimpleQueue[Record] = SimpleQueue()
    with _thread("pictures") as reader, _thread("segmenter") as pool:
        marker = _Marker(pool, pipeline, together=max(1, at_once // 4), voting=draws is not None)
        requests = _requests(_ahead(reader, _reading(pipeline), samples), pipeline, draws, opened, refused)
        rows = max(at_once, share)
        for (name, number), text in pipeline.reasoner.answer_all(requests, rows):
            opened[name].texts[number] = text
            if len(opened[name].texts) == share:
                opened[name].reasoning = (perf_counter() - opened[name].asked) * share / rows
                marker.add(opened.pop(name))
            yield from marker.take(most=2 * at_once)  # pictures take memory
            yield from _drain(refused)
        yield from marker.take(most=0)
        yield from _drain(refused)


@contextmanager
def _thread(name: str) -> Iterator[ThreadPoolExecutor]:
    """A thread for work that is given up where what waits for it fails, or is stopped."""
    pool = ThreadPoolExecutor(1, name)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


class _Marker:
    """Marks answered samples beside the reasoner, `together` at a time."""

    def __init__(self, pool: ThreadPoolExecutor, pipeline: Pipeline, *, together: int, voting: bool) -> None:
        self._pool, self._together = pool, together
        self._mark = partial(_mark, pipeline, voting=voting)
        self._waiting: deque[_Open] = deque()
        self._marking: Future[list[Record]] | None = None

    def add(self, done: _Open) -> None:
        self._waiting.append(done)

    def take(self, most: int) -> Iterator[Record]:
        """The records that are ready; of more than `most` samples on their way it waits for some."""
        while True:
            if self._marking is not None:
                if len(self._waiting) + self._together <= most and not self._marking.done():
                    return
                yield from self._marking.result()
                self._marking = None
            if not self._waiting or len(self._waiting) < self._together and most:
                return
            some = [self._waiting.popleft() for _ in range(min(self._together, len(self._waiting)))]
            self._marking = self._pool.submit(self._mark, some)


def _requests(
    ready: Iterable[_Open | Record],
    pipeline: Pipeline,
    draws: Draws | None,
    opened: dict[str, _Open],
    refused: SimpleQueue[Record],
) -> Iterator[Request]:
    """The questions for the reasoner, which takes them on its own thread; what cannot be asked is refused."""
    for each in ready:
        if isinstance(each, Record):
            refused.put(each)
            continue
        preset, name = pipeline.preset, each.sample.id
        prompt = preset.dialect.prompt(each.sample.question, trim=preset.evaluation_trim)
        opened[name] = each
        each.asked = perf_counter()
        draws = draws or Draws(1)
        yield from several(name, each.frame, prompt, draws.count, draws.temperature)


def _ahead(pool: ThreadPoolExecutor, read: Callable, samples: Iterable[Sample]) -> Iterator[_Open | Record]:
    """read(sample) of each, in order, AHEAD of them begun before they are wanted."""
    coming: deque[Future] = deque()
    for sample in samples:
        coming.append(pool.submit(read, sample))
        if len(coming) > AHEAD:
            yield coming.popleft().result()
    while coming:
        yield coming.popleft().result()


def _reading(pipeline: Pipeline) -> Callable[[Sample], _Open | Record]:
    """What reads a sample's files, and what the reasoner sees of the picture: the last few are remembered."""

    @lru_cache(AHEAD)
    def look(path: Path) -> tuple[Image.Image, Image.Image]:
        picture = load_picture(path)
        return picture, pipeline.preset.frame.show(picture)

    def read(sample: Sample) -> _Open | Record:
        try:
            picture, frame = look(sample.path)
            return _Open(sample, load_sample(sample, picture), frame)
        except ValueError as error:
            return _left_out(sample, error)

    return read


def _left_out(sample: Sample, error: ValueError) -> Record:
    why = leave_out(sample.id, error)
    problem = f"{why.reason}: {why.detail}" if why.detail else why.reason
    return record_of(sample, status="left_out", problem=problem)


def _drain(records: SimpleQueue[Record]) -> Iterator[Record]:
    while not records.empty():
        yield records.get()


def _mark(pipeline: Pipeline, done: Sequence[_Open], *, voting: bool) -> list[Record]:
    """Mark what samples' answers point at, and count them."""
    began = perf_counter()
    answers = [(each.loaded.picture, each.texts[number]) for each in done for number in sorted(each.texts)]
    attempts = iter(attempt_each(pipeline, answers))
    marking = (perf_counter() - began) / len(done)
    records = []
    for each in done:
        record = score_sample(
            each.sample, each.loaded, list(islice(attempts, len(each.texts))), voting=voting
        )
        spent = {"reasoning": round(each.reasoning, 4), "segmentation": round(marking, 4)}
        records.append(replace(record, seconds=spent))
    return records
