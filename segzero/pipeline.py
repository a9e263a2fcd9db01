"""The two models put together: a picture and a question in, a stream of events and a result out.

    pipeline = segzero.load("mini")
    for event in pipeline.stream("scene.png", "What could keep me dry?"): ...
    result = pipeline.run("scene.png", "What could keep me dry?")
    result = pipeline.run("scene.png", "What could keep me dry?", samples=8)    # answers that vote

A pipeline keeps nothing of a question, so any number of people may ask at once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

from segzero.contract import (
    Box,
    Event,
    Point,
    Preset,
    Result,
    Target,
    check_question,
    clip_box,
    clip_point,
    inside,
)
from segzero.many_run import run_many
from segzero.pictures import PictureError, load_picture
from segzero.question_run import QuestionRun
from segzero.segmenter import SegmenterError
from segzero.voted_run import VotedRun

Picture = Image.Image | str | Path | np.ndarray


class Pipeline:
    """A reasoner and a segmenter, and the preset that says how they talk.

    reasoner: has `stream`, and for several answers `answer_all`, as segzero.reasoner.Reasoner has them.
    segmenter: has `embed`, `segment` and `candidates` as segzero.segmenter.Segmenter has them.
    """

    def __init__(self, reasoner, segmenter, preset: Preset) -> None:
        self.reasoner, self.segmenter, self.preset = reasoner, segmenter, preset

    def stream(
        self, image: Picture, question: str, *, cancel: threading.Event | None = None
    ) -> Iterator[Event]:
        """Yield events as they happen; the last is Finished.

        image: a picture, its path, or (H, W, 3) uint8. Raises PictureError and QuestionError at once; the
        models' errors come up while the events are read. Closing the generator stops all work.
        Setting `cancel` ends it early, with a result of what has a mask by then, its problem "stopped".
        """
        started = perf_counter()
        question = check_question(question)
        picture = load_picture(image)
        run = QuestionRun(self.reasoner, self.segmenter, self.preset, picture, question, cancel, started)
        return run.events()

    def run(
        self, image: Picture, question: str, *, samples: int = 1, cancel: threading.Event | None = None
    ) -> Result:
        """The result in the last event of `stream`, which see, or what several answers come to.

        samples: more than 1 asks so many times in one batch. The first answer is greedy, as the one answer
        is; the others are drawn as the evaluation's are, at segzero.reasoner.TEMPERATURE, 0.7, so that what
        `evaluate --samples` measured is what is asked here (StAR draws at 1.0 and top-p 0.9). What is found
        are the objects that most answers show (majority_objects of segzero/voting.py), and `confidence` is
        how far the answers agree, 0..1. Setting `cancel` lets those vote that have ended. Raises ValueError
        for less than 1.
        """
        if samples < 1:
            raise ValueError(f"samples counts answers to the question: 1 or more, not {samples}")
        if samples > 1:
            started = perf_counter()
            question, picture = check_question(question), load_picture(image)
            models = self.reasoner, self.segmenter, self.preset
            return VotedRun(*models, picture, question, samples, cancel, started).result()
        *_, last = self.stream(image, question, cancel=cancel)
        return last.result

    def run_each(
        self, images: Iterable[Path | Image.Image], question: str, *, at_once: int = 16
    ) -> Iterator[tuple[int, Result | PictureError | SegmenterError]]:
        """One question about many pictures, `at_once` in a batch: (which, what came of it), in any order.

        What is wrong with one picture comes in place of its result. Raises QuestionError at once, and what
        the models raise while results are read.
        """
        models = self.reasoner, self.segmenter, self.preset
        return run_many(*models, images, check_question(question), at_once=at_once)

    def refine(
        self,
        result: Result,
        index: int,
        add: Sequence[Point] = (),
        remove: Sequence[Point] = (),
        box: Box | None = None,
    ) -> Result:
        """A new result with target `index` segmented again: the decoder only, on the cached embedding.

        add, remove: further points (x, y) on the object, and beside it; they add up over calls.
        box: xyxy, in place of the target's; points on the object that it leaves outside are dropped.
        All in pixels of the picture, clipped to it.
        Raises ValueError when there is no such target, no picture any more, or no area in the box.
        """
        started = perf_counter()
        target = _target(result, index)
        clicks = list(result.clicks.get(index, ()))
        if box is not None:
            box = _usable_box(box, result.image_wh)
            points = tuple(point for point in target.points_xy if inside(point, box))
            target = replace(target, box_xyxy=box, points_xy=points)
            clicks = [(point, on) for point, on in clicks if not on or inside(point, box)]
        clicks += [(clip_point(point, result.image_wh), True) for point in add]
        clicks += [(clip_point(point, result.image_wh), False) for point in remove]
        found = self.segmenter.segment(result.picture, [target], clicks=[clicks])
        targets, masks, scores = list(result.targets), result.masks.copy(), result.scores.copy()
        targets[index], masks[index], scores[index] = target, found.masks[0], found.scores[0]
        return replace(
            result,
            targets=targets,
            masks=masks,
            scores=scores,
            seconds={**result.seconds, "refine": perf_counter() - started},
            clicks={**result.clicks, index: tuple(clicks)},
        )

    def candidates(self, result: Result, index: int) -> tuple[np.ndarray, np.ndarray]:
        """All masks the segmenter weighs for target `index`, first the one it takes: (M, H, W) bool, (M,).

        With the target's box, points and clicks as they are now. Raises ValueError as `refine` does.
        """
        target = _target(result, index)
        return self.segmenter.candidates(result.picture, target, result.clicks.get(index, ()))


def _target(result: Result, index: int) -> Target:
    """The target to look at again. Raises ValueError when there is none, or no picture any more."""
    if result.picture is None:
        raise ValueError("This result came without its picture. Ask again to refine its masks.")
    if not 0 <= index < len(result.targets):
        raise ValueError(f"There is no target {index} among {len(result.targets)}, counted from 0.")
    return result.targets[index]


def _usable_box(box: Box, image_wh: tuple[int, int]) -> Box:
    """A box as somebody drew it, from whichever corner, clipped to the picture."""
    x1, y1, x2, y2 = box
    clipped = clip_box((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), image_wh)
    if clipped is None:
        raise ValueError(f"The box {box} has no area in a picture of {image_wh} pixels.")
    return clipped
