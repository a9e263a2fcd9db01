"""A pipeline without models, for the page, the command line and what draws or writes results.

It finds one half of the picture for "left" and "right" in the question, ten strips of it for "tenths", and
tells of them in the real events.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from threading import Event

import numpy as np
from PIL import Image

from segzero.geometry import Target
from segzero.picture import load_picture
from segzero.pipeline import STOPPED
from segzero.presets import MINI
from segzero.result import Finished, Located, Result, Segmented, Thinking

THOUGHT = "The question asks for a side of the picture. I look along its width and compare the halves."


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


class FakePipeline:
    """Answers as the question says: left, right, both, "tenths", "unreadable", "crash", else nothing.

    pause: seconds between two words of the thought. stopped: how many streams were cancelled, or left early.
    """

    preset = MINI

    def __init__(self, pause: float = 0.0) -> None:
        self._pause = pause
        self.stopped = 0

    def stream(self, image: Image.Image, question: str, *, cancel: Event | None = None) -> Iterator[object]:
        finished = False
        try:
            for event in self._events(load_picture(image), question, cancel or Event()):
                finished = isinstance(event, Finished) and event.result.problem != STOPPED
                yield event
        finally:
            self.stopped += not finished

    def run(self, image: Image.Image, question: str) -> Result:
        *_, last = self.stream(image, question)
        return last.result

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

    def _events(self, image: Image.Image, question: str, cancel: Event) -> Iterator[object]:
        words = THOUGHT.split(" ")
        for count in range(1, len(words) + 1):
            time.sleep(self._pause)
            if cancel.is_set():
                yield Finished(stopped(image, question, [], " ".join(words[: count - 1])))
                return
            yield Thinking(" ".join(words[:count]))
        if "crash" in question:
            raise RuntimeError("the fake model fell over")
        sides = [side for side in ("left", "right") if side in question]
        sides += list("0123456789") if "tenths" in question else []
        result = result_of(image.size, *sides, question=question)
        for index, target in enumerate(result.targets):
            yield Located(index, target)
            time.sleep(2 * self._pause)
            yield Segmented(index, target, result.masks[index], float(result.scores[index]))
            if cancel.is_set() and index + 1 < len(sides):
                yield Finished(stopped(image, question, sides[: index + 1], THOUGHT))
                return
        result = unreadable(result) if "unreadable" in question else result
        yield Finished(replace(result, picture=image))


def stopped(image: Image.Image, question: str, sides: list[str], thinking: str) -> Result:
    """What the pipeline makes of a question that was cancelled after these sides."""
    result = result_of(image.size, *sides, question=question)
    status = "ok" if sides else "unreadable"
    return replace(result, status=status, problem=STOPPED, thinking=thinking, picture=image)


def unreadable(result: Result) -> Result:
    """The same picture and question, answered with words that are no answer."""
    blank = result_of(result.image_wh, question=result.question, raw="<think>I am not sure</think> It is 42.")
    return replace(blank, status="unreadable", problem="The answer holds no object.")
