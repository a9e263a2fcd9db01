"""What the releases' own evaluation scripts read in an answer: their two parsers, mistakes and all.

    SINGLE.released(text, Frame(frame_px=840), (640, 360))     # targets in the picture; None: refused

Ours reads more (segzero/contract/answer.py). Where the two differ an answer was accepted by mercy, and the
evaluation counts how many were. Nothing is shown or trained by what is read here.
"""

from __future__ import annotations

import json
import re

from segzero.contract.frame import Frame
from segzero.contract.geometry import Target

_THOUGHT = re.compile(r"<think>[^<]+</think>")
# The scripts catch everything; these are what the lines below can raise.
_REFUSALS = (AttributeError, LookupError, TypeError, ValueError, OverflowError, RecursionError, StopIteration)

Size = tuple[int, int]


def released_single(text: str, frame: Frame, image_wh: Size) -> list[Target] | None:
    """The first release: the first braces of the whole text, thought included, are the answer.

    It wants one key with "bbox" and two with "points" in their names, and fails without a thought, or with a
    "<" in it.
    """
    x, y = _factors(frame, image_wh)
    try:
        found = json.loads(_first_braces(text))
        box = found[next(key for key in found if "bbox" in key.lower())]
        first, second = (found[key] for key in [key for key in found if "points" in key.lower()][:2])
        if len(box) != 4 or not _THOUGHT.search(text):
            return None
        numbers = [round(int(value) * factor) for value, factor in zip(box, (x, y, x, y), strict=True)]
        points = tuple((round(int(p[0]) * x), round(int(p[1]) * y)) for p in (first, second))
        return [Target(tuple(numbers), points)]
    except _REFUSALS:
        return None


def released_multi(text: str, frame: Frame, image_wh: Size) -> list[Target] | None:
    """The successor: the JSON between the first pair of answer tags, a list of objects with both keys.

    Its early versions fail without a thought as the first release does, so that is refused here.
    """
    x, y = _factors(frame, image_wh)
    try:
        found = json.loads(_first_answer(text))
        if not _THOUGHT.search(text):
            return None
        boxes = [[int(item["bbox_2d"][i] * (x, y)[i % 2] + 0.5) for i in range(4)] for item in found]
        points = [tuple(int(item["point_2d"][i] * (x, y)[i] + 0.5) for i in range(2)) for item in found]
        return [Target(tuple(box), (point,)) for box, point in zip(boxes, points, strict=True)]
    except _REFUSALS:
        return None


def released_star(text: str, frame: Frame, image_wh: Size) -> list[Target] | None:
    """StAR: as the successor, each object with a label; on a grid, numbers moved into the picture."""
    try:
        found = json.loads(_first_answer(text))
        if not _THOUGHT.search(text):
            return None
        return [_labelled(item, frame, image_wh) for item in found]
    except _REFUSALS:
        return None


def _labelled(item: dict, frame: Frame, image_wh: Size) -> Target:
    numbers = [float(value) for value in (*item["bbox_2d"][:4], *item["point_2d"][:2])]
    if frame.grid is None:
        x, y = _factors(frame, image_wh)
        x1, y1, x2, y2, *point = (int(v * (x, y)[i % 2] + 0.5) for i, v in enumerate(numbers))
    else:
        unit = frame.unit(numbers)
        x1, y1, x2, y2, *point = (frame.pixel(v, unit, image_wh[i % 2]) for i, v in enumerate(numbers))
    return Target((x1, y1, x2, y2), (tuple(point),), item["label"])


def _factors(frame: Frame, image_wh: Size) -> tuple[float, float]:
    width, height = frame.numbers_wh(image_wh)
    return image_wh[0] / width, image_wh[1] / height


def _first_braces(text: str) -> str:
    """What `{[^}]+}` finds first, in linear time. Raises ValueError where that is nothing."""
    start = text.index("{")
    while (end := text.index("}", start)) == start + 1:  # {} has nothing in it
        start = text.index("{", end)
    return text[start : end + 1]


def _first_answer(text: str) -> str:
    """What `<answer>\\s*(.*?)\\s*</answer>` finds first, in linear time. Raises ValueError as above."""
    start = text.index("<answer>") + len("<answer>")
    return text[start : text.index("</answer>", start)].strip()
