"""One JSON object of an answer, from its text to a target in the picture.

    from segzero.contract.target_reader import TargetReader
    reader = TargetReader(MULTI, frame_wh=(840, 840), image_wh=(640, 360))
    reader.add('{"bbox_2d": [0,0,84,84], "point_2d": [42,42]}')

What it accepts although no dialect writes it so, and what it leaves out, it keeps as notes for the answer.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

from segzero.contract.dialect import Dialect
from segzero.contract.geometry import Box, Point, Target, clip_box, clip_point, inside, scale_box, scale_point

# A key and its list of plain values, however quoted: 'bbox': [1, 2] or "bbox_2d": ("1", 2). Bounded: linear.
_FIELD = re.compile(r"([A-Za-z_]\w{0,40})[\"']?\s{0,9}[:=]\s{0,9}[\[(]{1,2}([^\[\](){}]{1,400})[\])]")


_STRAY = 1.02  # a model that counts pixels may miss the frame's edge by that much

Numbers = list[float | None]


@dataclass(frozen=True)
class Fields:
    """What an object's text says, in frame pixels, unchecked.

    objects: each box with its points: one, or several where a key comes twice or holds a list of boxes.
        Numbers in the order written; None for what is no number.
    strict: the text was valid JSON. textual: a number was written as a string.
    """

    objects: list[tuple[Numbers, list[Numbers]]]
    strict: bool
    textual: bool


class TargetReader:
    """Collects the targets of one answer, and what was odd about them.

    targets: those accepted so far, original-image pixels. objects: JSON objects so far. seen: boxes so far,
    the dropped ones included. guessed: an object was not valid JSON.
    """

    def __init__(self, dialect: Dialect, frame_wh: tuple[int, int], image_wh: tuple[int, int]) -> None:
        self._dialect, self._frame_wh, self._image_wh = dialect, frame_wh, image_wh
        self._notes: dict[str, list[int]] = {}
        self._farthest = 0.0  # the largest number, in frames: up to 1 it is inside
        self.targets: list[Target] = []
        self.objects = self.seen = 0
        self.guessed = False

    def add(self, text: str) -> None:
        """Read one object: its targets, and in the notes what was odd and why something was dropped."""
        self.objects += 1
        fields = read_fields(text)
        for numbers, pairs in fields.objects:
            self.seen += 1
            if len(self.targets) >= self._dialect.max_targets:
                self._note(f"left out, the most is {self._dialect.max_targets}")
                continue
            if not fields.strict:
                self.guessed = True
                self._note("not valid JSON, read with some guessing")
            if fields.textual:
                self._note("numbers written as text")
            if len(fields.objects) > 1:
                self._note("more than one box in one object, each read as an object of its own")
            box = self._box(numbers)
            if box is not None:
                self.targets.append(self._target(box, self._points(pairs, box)))

    def notes(self) -> list[str]:
        """One sentence a kind of oddity, naming the targets by their place in the answer."""
        notes = [f"{_name(numbers)}: {what}." for what, numbers in self._notes.items()]
        if self._farthest > _STRAY:
            width, height = self._frame_wh
            notes.append(
                f"There are numbers that cannot be pixels of the frame, {width} x {height}: "
                "the model may write on another grid, such as 0 to 1000."
            )
        return notes

    def _note(self, what: str) -> None:
        numbers = self._notes.setdefault(what, [])
        if self.seen not in numbers[-1:]:
            numbers.append(self.seen)

    def _target(self, box: Box, points: list[Point]) -> Target:
        change = (self._frame_wh, self._image_wh, self._dialect.scale)
        return Target(
            _fit(scale_box(box, *change), self._image_wh),
            tuple(clip_point(scale_point(point, *change), self._image_wh) for point in points),
        )

    def _box(self, numbers: Numbers) -> Box | None:
        """The box in frame pixels, in order and inside the frame; None when there is none to use."""
        if not _are_finite(numbers, 4):
            self._note("dropped, its bbox is not four finite numbers")
            return None
        x1, y1, x2, y2 = numbers
        self._look_how_far(numbers)
        if all(0 <= value <= 1 for value in numbers):
            self._note("its box lies between 0 and 1, which cannot be pixels; the model may write fractions")
        if x1 > x2 or y1 > y2:
            self._note("box corners were swapped, put in order")
            x1, y1, x2, y2 = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
        if x1 == x2 or y1 == y2:
            self._note("dropped, its box has no area")
            return None
        clipped = clip_box((x1, y1, x2, y2), self._frame_wh)
        if clipped is None:
            self._note("dropped, its box lies outside the picture")
        elif clipped != (x1, y1, x2, y2):
            self._note("box reached outside the picture, clipped")
        return clipped

    def _points(self, pairs: list[Numbers], box: Box) -> list[Point]:
        """The object's usable points in frame pixels, clipped to the frame, as many as the dialect has."""
        expected = self._dialect.points_per_target
        points = []
        for pair in pairs:
            if not _are_finite(pair, 2):
                self._note("a point that is not two finite numbers was ignored")
                continue
            self._look_how_far(pair)
            x, y = min(max(pair[0], 0), self._frame_wh[0]), min(max(pair[1], 0), self._frame_wh[1])
            if [x, y] != pair:
                self._note("point outside the picture, moved to its edge")
            elif not inside((x, y), box):
                self._note("point outside its own box")
            points.append((x, y))
        if not points:
            self._note("no point")
        elif len(points) < expected:
            self._note(f"only {len(points)} of {expected} points")
        elif len(points) > expected:
            self._note(f"more than {expected} point{'s' * (expected > 1)}, the rest ignored")
        return points[:expected]

    def _look_how_far(self, numbers: Numbers) -> None:
        """Note how far x, y, … reach, the frame's own width and height being 1."""
        sides = self._frame_wh * (len(numbers) // 2)
        self._farthest = max(self._farthest, *(n / side for n, side in zip(numbers, sides, strict=True)))


def read_fields(text: str) -> Fields:
    """The boxes and points of one object's text: as JSON if it is that, else by its keys and lists."""
    try:
        items = json.loads(
            text, object_pairs_hook=tuple
        )  # a dictionary would keep the last of equal keys only
        strict = isinstance(items, tuple)
    except (ValueError, RecursionError):  # int() of thousands of digits is a ValueError too
        strict = False
    boxes, points, textual = [], [], False
    for key, value in items if strict else _FIELD.findall(text):
        wanted = boxes if "bbox" in key.lower() else points if "point" in key.lower() else None
        if wanted is None:
            continue
        for flat in [_flatten(each) for each in (value if _holds_boxes(value) else [value])]:
            numbers = [_number(v) for v in flat]
            textual |= strict and any(isinstance(v, str) for v in flat)
            if wanted is points and len(numbers) > 2 and len(numbers) % 2 == 0:  # [[x, y], [x, y]]
                points.extend([numbers[i : i + 2] for i in range(0, len(numbers), 2)])
            elif numbers not in boxes or wanted is points:
                wanted.append(numbers)
    return Fields(_shared_out(boxes, points), strict, textual)


def _holds_boxes(value: object) -> bool:
    """Whether what stands under one key is a list of several boxes."""
    several = isinstance(value, list) and len(value) > 1
    return several and all(isinstance(each, list) and len(each) == 4 for each in value)


def _shared_out(boxes: list[Numbers], points: list[Numbers]) -> list[tuple[Numbers, list[Numbers]]]:
    """Each box with its points: in the order written where they come out even, else those inside it."""
    boxes = [box for box in boxes if any(n is not None for n in box)] or boxes[:1] or [[]]  # not "bbox_label"
    if len(points) % len(boxes) == 0:
        share = len(points) // len(boxes)
        return [(box, points[i * share : (i + 1) * share]) for i, box in enumerate(boxes)]
    shares: list[list[Numbers]] = [[] for _ in boxes]
    for point in points:
        holding = [i for i, box in enumerate(boxes) if _are_finite(box, 4) and _holds(box, point)]
        shares[holding[0] if holding else 0].append(point)
    return list(zip(boxes, shares, strict=True))


def _holds(box: Numbers, point: Numbers) -> bool:
    x1, y1, x2, y2 = box
    corners = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    return _are_finite(point, 2) and inside(point, corners)


def _flatten(value: object) -> list:
    """A list with the lists directly in it opened: [[1, 2], [3, 4]] is a box too, and so is "1, 2, 3, 4"."""
    if isinstance(value, str):
        value = value.strip(" []()").rstrip(", \n").split(",")
    items = value if isinstance(value, list) else [value]
    return [inner for item in items for inner in (item if isinstance(item, list) else [item])]


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = value.strip(" \t\r\n\"'")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(number) if number.is_integer() else number


def _are_finite(numbers: Numbers, count: int) -> bool:
    return len(numbers) == count and all(n is not None and math.isfinite(n) for n in numbers)


def _fit(box: Box, wh: tuple[int, int]) -> Box:
    """A rounded box inside a picture, at least a pixel each way: rounding can take a tiny picture's area."""
    x1, x2 = _span(box[0], box[2], wh[0])
    y1, y2 = _span(box[1], box[3], wh[1])
    return x1, y1, x2, y2


def _span(low: float, high: float, size: int) -> tuple[float, float]:
    low = min(max(low, 0), size - 1)
    return low, max(min(high, size), low + 1)


def _name(numbers: list[int]) -> str:
    shown = [str(number) for number in numbers[:5]]
    if len(numbers) > 5:
        shown.append(f"{len(numbers) - 5} more")
    if len(shown) == 1:
        return f"Target {shown[0]}"
    return f"Targets {', '.join(shown[:-1])} and {shown[-1]}"
