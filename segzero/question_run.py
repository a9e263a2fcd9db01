"""One question being answered: the two models' work, side by side, as one stream of events.

    yield from QuestionRun(reasoner, segmenter, preset, picture, question, cancel).events()

Tokens come on the reasoner's thread, masks on a worker of its own, events in the thread that reads them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from time import perf_counter

import numpy as np
from PIL import Image

from segzero.contract import (
    STOPPED,
    Answer,
    AnswerStream,
    Event,
    Finished,
    Located,
    Preset,
    Result,
    Segmented,
    Target,
    Thinking,
)

_POLL_S = 0.05


class QuestionRun:
    """A question about a picture, asked once: events() is to be called once.

    reasoner, segmenter, preset: as Pipeline has them. picture: upright RGB. cancel: ends it when set.
    started: the perf_counter() from which the whole is timed.
    """

    def __init__(
        self,
        reasoner,
        segmenter,
        preset: Preset,
        picture: Image.Image,
        question: str,
        cancel: threading.Event | None,
        started: float,
    ) -> None:
        self._reasoner, self._segmenter, self._preset = reasoner, segmenter, preset
        self._picture, self._question = picture, question
        self._cancel, self._started = cancel or threading.Event(), started
        self._answer = AnswerStream(preset.dialect, preset.frame, picture.size)
        self._pieces: list[str] = []
        self._targets: list[Target] = []
        self._pending: list[Future] = []  # one a target, each of a (mask, score)
        self._found: list[tuple[np.ndarray, float]] = []  # whose events are out, in order
        names = ("picture", "first_token", "reasoning", "embedding", "segmentation", "total")
        self._seconds = dict.fromkeys(names, 0.0)
        self._seconds["picture"] = perf_counter() - started

    def events(self) -> Iterator[Event]:
        """Yield Thinking, Located and Segmented as they happen, then Finished. Raises the models' errors."""
        # One worker, so that the embedding comes first and masks come in the order of their targets.
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="segmenter")
        try:
            self._embedding = self._worker.submit(self._embed)
            yield from self._reason()
            answer = self._answer.finish()
            for target in answer.targets[len(self._targets) :]:
                yield self._locate(target)
            while len(self._found) < len(self._pending) and not self._cancel.is_set():
                wait([self._pending[len(self._found)]], timeout=_POLL_S)
                yield from self._segmented()
            yield Finished(self._result(answer))
        finally:
            self._worker.shutdown(wait=False, cancel_futures=True)

    def _reason(self) -> Iterator[Event]:
        """The reasoner's text as it comes, and the masks that are ready in between."""
        frame = self._preset.frame.show(self._picture)
        prompt = self._preset.dialect.prompt(self._question)
        thought, began = "", perf_counter()
        with closing(self._reasoner.stream(frame, prompt, cancel=self._cancel)) as pieces:
            for piece in pieces:
                if self._cancel.is_set():
                    break
                if not self._pieces:
                    self._seconds["first_token"] = perf_counter() - began
                self._pieces.append(piece)
                targets = self._answer.feed(piece)
                if self._answer.thinking != thought:
                    thought = self._answer.thinking
                    yield Thinking(thought)
                for target in targets:
                    yield self._locate(target)
                yield from self._segmented()
        self._seconds["reasoning"] = perf_counter() - began

    def _locate(self, target: Target) -> Located:
        self._targets.append(target)
        self._pending.append(self._worker.submit(self._segment, target))
        return Located(len(self._targets) - 1, target)

    def _segmented(self) -> Iterator[Segmented]:
        """The masks that have become ready. Raises what the segmenter raised."""
        if self._embedding.done():
            self._embedding.result()
        while len(self._found) < len(self._pending) and self._pending[len(self._found)].done():
            index = len(self._found)
            mask, score = self._pending[index].result()
            self._found.append((mask, score))
            yield Segmented(index, self._targets[index], mask, score)

    def _embed(self) -> None:
        began = perf_counter()
        self._segmenter.embed(self._picture)
        self._seconds["embedding"] = perf_counter() - began

    def _segment(self, target: Target) -> tuple[np.ndarray, float]:
        began = perf_counter()
        found = self._segmenter.segment(self._picture, [target])
        self._seconds["segmentation"] += perf_counter() - began
        return found.masks[0], float(found.scores[0])

    def _result(self, answer: Answer) -> Result:
        targets = list(answer.targets[: len(self._found)])
        status, problem = answer.status, answer.problem
        whole = self._answer.closed and len(targets) == len(answer.targets)
        if self._cancel.is_set() and not whole:
            problem = STOPPED
            status = "unreadable" if status == "ok" and not targets else status
        width, height = self._picture.size
        masks = [mask for mask, _ in self._found]
        return Result(
            question=self._question,
            preset=self._preset.name,
            image_wh=(width, height),
            status=status,
            problem=problem,
            thinking=answer.thinking,
            raw="".join(self._pieces),
            targets=targets,
            masks=np.stack(masks) if masks else np.zeros((0, height, width), bool),
            scores=np.array([score for _, score in self._found], np.float32),
            seconds={**self._seconds, "total": perf_counter() - self._started},
            tokens=len(self._pieces),
            picture=self._picture,
        )
