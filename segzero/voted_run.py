"""One question answered several times: what most answers show, and how far they agree.

    result = VotedRun(reasoner, segmenter, preset, picture, question, 8, cancel, perf_counter()).result()
    result.confidence                                # 0..1

`Pipeline.run(..., samples=8)` stands on it; the rule is segzero.voting's majority_objects.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from PIL import Image

from segzero.contract import STOPPED, Answer, Preset, Result, Target
from segzero.reasoner import several
from segzero.segmenter import Masks, SegmenterError
from segzero.voting import Scored, agreement, elect_objects, nearest


@dataclass(frozen=True, eq=False)
class _Read:
    """An answer, and of one that says something what it points at; found: an error where that failed."""

    text: str
    answer: Answer
    found: Masks | SegmenterError | None

    @property
    def objects(self) -> list[Scored] | None:
        """Each mask and its score; None of an answer that has failed."""
        if self.answer.status == "unreadable" or isinstance(self.found, SegmenterError):
            return None
        return [] if self.found is None else list(zip(self.found.masks, self.found.scores, strict=True))


class VotedRun:
    """A question about a picture, asked `samples` times in one batch: result() is to be called once.

    reasoner, segmenter, preset: as Pipeline has them. picture: upright RGB. cancel: when set, those answers
    vote that have ended. started: the perf_counter() from which the whole is timed.
    """

    def __init__(
        self,
        reasoner,
        segmenter,
        preset: Preset,
        picture: Image.Image,
        question: str,
        samples: int,
        cancel: threading.Event | None,
        started: float,
    ) -> None:
        self._reasoner, self._segmenter, self._preset = reasoner, segmenter, preset
        self._picture, self._question, self._samples = picture, question, samples
        self._cancel, self._started = cancel or threading.Event(), started
        names = ("picture", "first_token", "reasoning", "embedding", "segmentation", "total")
        self._seconds = dict.fromkeys(names, 0.0)
        self._seconds["picture"] = perf_counter() - started

    def result(self) -> Result:
        """Ask, mark and count. Raises the models' errors; SegmenterError only if no answer is left."""
        with ThreadPoolExecutor(1, "segmenter") as worker:
            embedding = worker.submit(self._embed)
            texts = self._ask()
            embedding.result()
        began = perf_counter()
        answers = [self._read(text) for text in texts]
        self._seconds["segmentation"] = perf_counter() - began
        return self._voted(answers)

    def _ask(self) -> list[str]:
        """The answers, the greedy one first; of a cancelled question those that have ended."""
        began = perf_counter()
        frame = self._preset.frame.show(self._picture)
        prompt = self._preset.dialect.prompt(self._question)
        requests = several(self._question, frame, prompt, self._samples)
        with closing(self._reasoner.answer_all(requests, self._samples, cancel=self._cancel)) as answers:
            texts = dict(answers)
        self._seconds["reasoning"] = perf_counter() - began
        return [text for _, text in sorted(texts.items())]

    def _embed(self) -> None:
        began = perf_counter()
        self._segmenter.embed(self._picture)
        self._seconds["embedding"] = perf_counter() - began

    def _read(self, text: str) -> _Read:
        answer = self._preset.parse(text, self._picture.size)
        if not answer.targets:
            return _Read(text, answer, None)
        try:
            return _Read(text, answer, self._segmenter.segment(self._picture, answer.targets))
        except SegmenterError as error:
            return _Read(text, answer, error)

    def _voted(self, answers: Sequence[_Read]) -> Result:
        """The elected objects, each with the best mask that shows it, in the words of the answer nearest to
        them."""
        votes = [each.objects for each in answers]
        failures = [each.found for each in answers if isinstance(each.found, SegmenterError)]
        if failures and all(objects is None for objects in votes):
            raise failures[0]
        elected = [each.best for each in elect_objects(votes)]
        mask = self._union([each.mask for each in elected])
        masks = [None if each is None else self._union([mask for mask, _ in each]) for each in votes]
        said = answers[nearest(mask, masks)] if answers else None
        width, height = self._picture.size
        return Result(
            question=self._question,
            preset=self._preset.name,
            image_wh=(width, height),
            status=self._status(votes, elected),
            problem=STOPPED if self._cancel.is_set() or said is None else said.answer.problem,
            thinking=said.answer.thinking if said else "",
            raw=said.text if said else "",
            targets=self._targets(answers, elected),
            masks=np.stack([each.mask for each in elected])
            if elected
            else np.zeros((0, height, width), bool),
            scores=np.array([each.score for each in elected], np.float32),
            seconds={**self._seconds, "total": perf_counter() - self._started},
            picture=self._picture,
            confidence=agreement(masks),
        )

    def _union(self, masks: Sequence[np.ndarray]) -> np.ndarray:
        width, height = self._picture.size
        return np.logical_or.reduce(masks) if len(masks) else np.zeros((height, width), bool)

    @staticmethod
    def _status(votes, elected) -> str:
        if elected:
            return "ok"
        return "unreadable" if all(objects is None for objects in votes) else "no_target"

    @staticmethod
    def _targets(answers: Sequence[_Read], elected) -> list[Target]:
        return [answers[each.answer].answer.targets[each.index] for each in elected]
