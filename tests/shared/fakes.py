"""A pipeline without models, for the page, the command line and what draws or writes results.

It finds one half of the picture for "left" and "right" in the question, ten strips of it for "tenths", and
tells of them in the real events. It has no clock: a test that wants to see a state holds the answer there.

    pipeline.holds = after(Located)     # a box and no mask, until `holds` is something else
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from segzero.contract import MINI, STOPPED, Event, Finished, Located, Result, Segmented, Target, Thinking
from segzero.pictures import PictureError, load_picture

THOUGHT = "The question asks for a side of the picture. I look along its width and compare the halves."
FIRST_WORDS = "The question asks"


def half(image_wh: tuple[int, int], side: str) -> tuple[Target, np.ndarray]:
    """The left or right half of a picture, or a tenth of it ("0" is the first): a target with a point in its
    middle, and the mask (H, W)."""
    width, height = image_wh
    middle = max(1, width // 2)
    x1, x2 = (0, middle) if side == "left" else (width - middle, width)
    if side.isdigit():
        x1, x2 = width * int(side) // 10, width * (int(side) + 1) // 10
    mask = np.zeros((height, width), bool)
    mask[:, x1:x2] = True
    return Target((x1, 0, x2, height), (((x1 + x2) // 2, height // 2),)), mask


def result_of(image_wh: tuple[int, int], *sides: str, question: str = "Which side?", raw: str = "") -> Result:
    """The result that names these halves of a picture; none of them: nothing matches."""
    found = [half(image_wh, side) for side in sides]
    width, height = image_wh
    return Result(
        image_wh=image_wh,
        question=question,
        preset="mini",
        status="ok" if found else "no_target",
        problem="",
        thinking=THOUGHT,
        raw=raw or f"<think>{THOUGHT}</think><answer>[]</answer>",
        targets=[target for target, _ in found],
        masks=np.array([mask for _, mask in found], bool).reshape(-1, height, width),
        scores=np.linspace(0.9, 0.8, len(found), dtype=np.float32),
        seconds={"total": 0.5},
        tokens=64,
    )


Holds = Callable[[str, Event], bool]
"""Of a question and an event of its answer: whether nothing may follow for now."""


def never(question: str, event: Event) -> bool:
    return False


def after(kind: type, number: int = 0) -> Holds:
    """Holds every answer after its first thought, or after object `number` (from 0) is located, or masked."""
    return lambda question, event: isinstance(event, kind) and getattr(event, "index", 0) == number


class FakePipeline:
    """Answers as the question says: left, right, both, "tenths", "unreadable", "crash", else nothing.

    An "endless" thought goes on until it is cancelled, or nobody listens any more.
    holds: where answers wait, unless cancelled. stopped: how many streams were cancelled, or left early.
    """

    preset = MINI

    def __init__(self) -> None:
        self.holds: Holds = never
        self.stopped = 0

    def stream(
        self, image: Image.Image, question: str, *, cancel: threading.Event | None = None
    ) -> Iterator[Event]:
        finished, cancel = False, cancel or threading.Event()
        try:
            for event in self._events(load_picture(image), question, cancel):
                finished = isinstance(event, Finished) and event.result.problem != STOPPED
                yield event
                while self.holds(question, event) and not cancel.is_set():
                    time.sleep(0.01)
        finally:
            self.stopped += not finished

    def run(self, image: Image.Image, question: str) -> Result:
        *_, last = self.stream(image, question)
        return last.result

    def run_each(self, images, question: str, *, at_once: int = 16) -> Iterator[tuple[int, object]]:
        for index, image in enumerate(images):
            try:
                yield index, self.run(image, question)
            except PictureError as error:
                yield index, error

    def refine(self, result: Result, index: int, add=(), remove=(), box=None) -> Result:
        """What is clicked joins or leaves the mask, a band of 21 columns a click; a box is its own mask."""
        masks, clicks = result.masks.copy(), list(result.clicks.get(index, ()))
        targets = list(result.targets)
        if box is not None:
            x1, y1, x2, y2 = map(int, box)
            targets[index] = replace(targets[index], box_xyxy=box)
            masks[index] = False
            masks[index, y1:y2, x1:x2] = True
        for points, value in ((add, True), (remove, False)):
            for x, y in points:
                masks[index, :, max(0, int(x) - 10) : int(x) + 11] = value
                clicks.append(((x, y), value))
        return replace(
            result,
            targets=targets,
            masks=masks,
            seconds={**result.seconds, "refine": 0.05},
            clicks={**result.clicks, index: tuple(clicks)},
        )

    def candidates(self, result: Result, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The mask, the whole picture, and nothing."""
        mask = result.masks[index]
        masks = np.stack([mask, np.ones_like(mask), np.zeros_like(mask)])
        return masks, np.array([result.scores[index], 0.6, 0.25], np.float32)

    def _events(self, image: Image.Image, question: str, cancel: threading.Event) -> Iterator[Event]:
        said = ""
        for thought in thoughts(question):
            if cancel.is_set():
                yield Finished(stopped(image, question, [], said))
                return
            said = thought
            yield Thinking(said)
        if "crash" in question:
            raise RuntimeError("the fake model fell over")
        sides = [side for side in ("left", "right") if side in question]
        sides += list("0123456789") if "tenths" in question else []
        result = result_of(image.size, *sides, question=question)
        for index, target in enumerate(result.targets):
            yield Located(index, target)
            yield Segmented(index, target, result.masks[index], float(result.scores[index]))
            if cancel.is_set() and index + 1 < len(sides):
                yield Finished(stopped(image, question, sides[: index + 1], THOUGHT))
                return
        result = unreadable(result) if "unreadable" in question else result
        yield Finished(replace(result, picture=image))


def thoughts(question: str) -> Iterator[str]:
    """The thought as far as it has come; its first words come at once."""
    words = THOUGHT.split(" ")
    for count in range(len(FIRST_WORDS.split(" ")), len(words) + 1):
        yield " ".join(words[:count])
    while "endless" in question:
        time.sleep(0.01)
        yield THOUGHT


def stopped(image: Image.Image, question: str, sides: list[str], thinking: str) -> Result:
    """What the pipeline makes of a question that was cancelled after these sides."""
    result = result_of(image.size, *sides, question=question)
    status = "ok" if sides else "unreadable"
    raw = f"<think>{thinking}"
    return replace(result, status=status, problem=STOPPED, thinking=thinking, raw=raw, picture=image)


def unreadable(result: Result) -> Result:
    """The same picture and question, answered with words that are no answer."""
    blank = result_of(result.image_wh, question=result.question, raw="<think>I am not sure</think> It is 42.")
    return replace(blank, status="unreadable", problem="The answer holds no object.")
