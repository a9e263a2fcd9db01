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


@dataclass(frozen=True)
class Fields:
    """What an object's text says, in frame pixels, unchecked.

    boxes, points: the numbers under each matching key, in the order written; None for what is no number.
    strict: the text was valid JSON. textual: a number was written as a string.
    """

    boxes: list[list[float | None]]
    points: list[list[float | None]]
    strict: bool
    textual: bool


class TargetReader:
    """Collects the targets of one answer, and what was odd about them.

    targets: those accepted so far, original-image pixels. seen: objects so far, the dropped ones included.
    guessed: an object was not valid JSON.
    """

    def __init__(self, dialect: Dialect, frame_wh: tuple[int, int], image_wh: tuple[int, int]) -> None:
        self._dialect, self._frame_wh, self._image_wh = dialect, frame_wh, image_wh
        self._notes: dict[str, list[int]] = {}
        self.targets: list[Target] = []
        self.seen = 0
        self.guessed = False

    def add(self, text: str) -> Target | None:
        """Read one object. Returns its target, or None when it was dropped, with the reason in the notes."""
        self.seen += 1
        if len(self.targets) >= self._dialect.max_targets:
            self._note(f"left out, the most is {self._dialect.max_targets}")
            return None
        fields = read_fields(text)
        if not fields.strict:
            self.guessed = True
            self._note("not valid JSON, read with some guessing")
        if fields.textual:
            self._note("numbers written as text")
        box = self._box(fields)
        if box is None:
            return None
        points = self._points(fields, box)
        change = (self._frame_wh, self._image_wh, self._dialect.scale)
        target = Target(
            _fit(scale_box(box, *change), self._image_wh),
            tuple(clip_point(scale_point(point, *change), self._image_wh) for point in points),
        )
        self.targets.append(target)
        return target

    def notes(self) -> list[str]:
        """One sentence a kind of oddity, naming the targets by their place in the answer."""
        return [f"{_name(numbers)}: {what}." for what, numbers in self._notes.items()]

    def _note(self, what: str) -> None:
        numbers = self._notes.setdefault(what, [])
        if self.seen not in numbers[-1:]:
            numbers.append(self.seen)

    def _box(self, fields: Fields) -> Box | None:
        """The object's box in frame pixels, in order and inside the frame; None when there is none to use."""
        if not fields.boxes or len(fields.boxes[0]) != 4 or not all(map(_finite, fields.boxes[0])):
            self._note("dropped, its bbox is not four finite numbers")
            return None
        x1, y1, x2, y2 = fields.boxes[0]
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

    def _points(self, fields: Fields, box: Box) -> list[Point]:
        """The object's usable points in frame pixels, clipped to the frame, as many as the dialect has."""
        expected = self._dialect.points_per_target
        points = []
        for pair in fields.points:
            if len(pair) != 2 or not all(map(_finite, pair)):
                self._note("a point that is not two finite numbers was ignored")
                continue
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


def read_fields(text: str) -> Fields:
    """The boxes and points of one object's text: as JSON if it is that, else by its keys and lists."""
    try:
        items = json.loads(text)
        strict = isinstance(items, dict)
    except (ValueError, RecursionError):  # int() of thousands of digits is a ValueError too
        strict = False
    pairs = items.items() if strict else _FIELD.findall(text)
    boxes, points, textual = [], [], False
    for key, value in pairs:
        wanted = boxes if "bbox" in key.lower() else points if "point" in key.lower() else None
        if wanted is None:
            continue
        flat = _flatten(value)
        numbers = [_number(v) for v in flat]
        textual |= strict and any(isinstance(v, str) for v in flat)
        if wanted is points and len(numbers) > 2 and len(numbers) % 2 == 0:  # [[x, y], [x, y]] under one key
            points.extend([numbers[i : i + 2] for i in range(0, len(numbers), 2)])
        else:
            wanted.append(numbers)
    return Fields(boxes, points, strict, textual)


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


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


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
