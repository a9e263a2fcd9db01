"""How a question is put and an answer written: three dialects, each one value used by demo and training.

    from segzero.contract import MULTI
    MULTI.prompt("What keeps me dry?"); MULTI.write([Target((1, 2, 3, 4), ((2, 3),))])

The prompts are those the public weights were trained with, letter for letter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from segzero.contract.frame import Frame
from segzero.contract.geometry import Target
from segzero.contract.released import released_multi, released_single, released_star

_SINGLE_BEFORE = "Please find '"
_SINGLE_AFTER = (
    "' with bbox and points."
    "Compare the difference between objects and find the most closely matched one."
    "Output the thinking process in <think> </think> and final answer in <answer> </answer> tags."
    "Output the one bbox and points of two largest inscribed circles "
    "inside the interested object in JSON format."
    "i.e., <think> thinking process here </think>"
    "<answer>{'bbox': [10,100,200,210], 'points_1': [30,110], 'points_2': [35,180]}</answer>"
)
_MULTI_BEFORE = 'Please find "'
_MULTI_AFTER = (
    '" with bboxs and points.'
    "Compare the difference between object(s) and find the most closely matched object(s)."
    "Output the thinking process in <think> </think> and final answer in <answer> </answer> tags."
    "Output the bbox(es) and point(s) inside the interested object(s) in JSON format."
    "i.e., <think> thinking process here </think>"
    '<answer>[{"bbox_2d": [10,100,200,210], "point_2d": [30,110]}, '
    '{"bbox_2d": [225,296,706,786], "point_2d": [302,410]}]</answer>'
)
_STAR = (
    'Please find "',
    '" with bbox(es) and point(s). Also provide a short label for each object. '
    'First, understand and summarize what the query —"',
    '"— is likely referring to (which object or concept). '
    "Then apply this to the image and find the matched target object(s). "
    "Return ALL matching instances; if there are no matches, return an empty list (<answer>[]</answer>). "
    "double-check none are missed. "
    "Output the thinking process in <think> </think> and final answer in <answer> </answer> tags. "
    "Output the bbox(es) and point(s) inside the interested object(s), along with a short label, "
    "in JSON format. "
    "i.e., <think> thinking process (step-by-step reasoning) here </think> "
    '<answer>[{"label": "chair", "bbox_2d": [10,100,200,210], "point_2d": [30,110]}, '
    '{"label": "train track", "bbox_2d": [225,296,706,786], "point_2d": [302,410]}]</answer>',
)


@dataclass(frozen=True)
class Dialect:
    """One way of asking and answering. What its numbers are, a preset's frame says.

    ask: the prompt's text, cut where the question stands. trim: characters that go from a question's ends.
    max_targets, points_per_target: how much of an answer is kept. labels: objects are called something.
    scale(value, factor): a pixel of the frame in original-image pixels, rounded as its release does.
    write(targets): the text between the answer tags, for training; targets in the frame's numbers, rounded.
        Raises ValueError for targets that the dialect cannot say.
    read_solution(text): a training set's ground truth, as targets in the frame's numbers. Raises ValueError.
    released(text, frame, image_wh): what the release's own evaluation reads in an answer: targets in
        original-image pixels, or None where it refuses the answer.
    """

    name: str
    ask: tuple[str, ...]
    max_targets: int
    points_per_target: int
    scale: Callable[[float, float], int]
    write: Callable[[Sequence[Target]], str]
    read_solution: Callable[[str], list[Target]]
    released: Callable[[str, Frame, tuple[int, int]], list[Target] | None]
    trim: str = "."
    labels: bool = False

    def prompt(self, question: str, *, trim: str | None = None) -> str:
        """The user message's text for a question: lower-cased, without `trim` around it.

        trim: None takes the dialect's own, as in training and inference; an evaluation may have another.
        """
        return question.lower().strip(self.trim if trim is None else trim).join(self.ask)


def _scale_single(value: float, factor: float) -> int:
    return round(int(value) * factor)


def _scale_multi(value: float, factor: float) -> int:
    return int(value * factor + 0.5)


def _numbers(values: Sequence[float]) -> str:
    return "[" + ",".join(str(round(value)) for value in values) + "]"


def _write_single(targets: Sequence[Target]) -> str:
    if len(targets) != 1 or len(targets[0].points_xy) != 2:
        raise ValueError("an answer of the single dialect is one target with two points")
    first, second = targets[0].points_xy
    box = _numbers(targets[0].box_xyxy)
    return f'{{"bbox": {box}, "points_1": {_numbers(first)}, "points_2": {_numbers(second)}}}'


def _write_multi(targets: Sequence[Target]) -> str:
    if not all(target.points_xy for target in targets):
        raise ValueError("every target of the multi dialect has a point")
    objects = (
        f'{{"bbox_2d": {_numbers(target.box_xyxy)}, "point_2d": {_numbers(target.points_xy[0])}}}'
        for target in targets
    )
    return "[" + ", ".join(objects) + "]"


def _write_star(targets: Sequence[Target]) -> str:
    if not all(target.points_xy for target in targets):
        raise ValueError("every target of the star dialect has a point")
    objects = (
        f'{{"label": {json.dumps(target.label or "object", ensure_ascii=False)}, '
        f'"bbox_2d": {_numbers(target.box_xyxy)}, "point_2d": {_numbers(target.points_xy[0])}}}'
        for target in targets
    )
    return "[" + ", ".join(objects) + "]"


_NUMBER = r"\s*(-?\d+(?:\.\d+)?)\s*"
_PAIR = rf"\({_NUMBER},{_NUMBER}\)"
_BOX_TAG = re.compile(rf"<box>\s*{_PAIR}\s*,\s*{_PAIR}\s*</box>")
_POINTS_TAG = re.compile(rf"<points>\s*{_PAIR}\s*,\s*{_PAIR}\s*</points>")


def _solve_single(text: str) -> list[Target]:
    box, points = _BOX_TAG.search(text), _POINTS_TAG.search(text)
    if box is None or points is None:
        raise ValueError(f"not a solution of the single dialect: {text[:80]!r}")
    x1, y1, x2, y2 = map(float, points.groups())
    return [Target(tuple(map(float, box.groups())), ((x1, y1), (x2, y2)))]


def _solve_multi(text: str) -> list[Target]:
    try:
        items = json.loads(text)
        if not isinstance(items, list):
            raise TypeError("not a list")
        return [
            Target(tuple(item["bbox_2d"]), (tuple(item["point_2d"]),), str(item.get("label", "")))
            for item in items
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a solution of the multi dialect: {text[:80]!r} ({error})") from error


SINGLE = Dialect(
    name="single",
    ask=(_SINGLE_BEFORE, _SINGLE_AFTER),
    max_targets=1,
    points_per_target=2,
    scale=_scale_single,
    write=_write_single,
    read_solution=_solve_single,
    released=released_single,
)

MULTI = Dialect(
    name="multi",
    ask=(_MULTI_BEFORE, _MULTI_AFTER),
    max_targets=100,
    points_per_target=1,
    scale=_scale_multi,
    write=_write_multi,
    read_solution=_solve_multi,
    released=released_multi,
)

STAR = Dialect(
    name="star",
    ask=_STAR,
    max_targets=120,  # what its rewards count
    points_per_target=1,
    scale=_scale_multi,
    write=_write_star,
    read_solution=_solve_multi,
    released=released_star,
    trim='."?!',
    labels=True,
)

DIALECTS = {dialect.name: dialect for dialect in (SINGLE, MULTI, STAR)}
