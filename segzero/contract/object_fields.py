"""The boxes, points and label that the text of one JSON object holds, however a model wrote it.

    from segzero.contract.object_fields import read_fields
    read_fields('{"label": "cup", "bbox_2d": [0,0,84,84], "point_2d": [42,42]}').objects

Numbers are as written, in whatever frame; target_reader.py makes targets of them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from segzero.contract.geometry import inside

_LABEL = re.compile(r"[\"']label[\"']\s{0,9}:\s{0,9}(\"[^\"\n{}]{0,200}\"|'[^'\n{}]{0,200}')")
LABEL_CHARS = 80
# A key and its list of plain values, however quoted: 'bbox': [1, 2] or "bbox_2d": ("1", 2). Bounded: linear.
_FIELD = re.compile(r"([A-Za-z_]\w{0,40})[\"']?\s{0,9}[:=]\s{0,9}[\[(]{1,2}([^\[\](){}]{1,400})[\])]")
# A list beside it, under the same key.
_FURTHER = re.compile(r"\s{0,9},\s{0,9}[\[(]([^\[\](){}]{1,400})[\])]")

Numbers = list[float | None]


@dataclass(frozen=True)
class Fields:
    """What an object's text says, in the frame's numbers, unchecked.

    objects: each box with its points: one, or several where a key comes twice or holds a list of boxes.
        Numbers in the order written; None for what is no number.
    strict: the text was valid JSON. textual: a number was written as a string. labels: what each is called,
        "" where nothing says it.
    """

    objects: list[tuple[Numbers, list[Numbers]]]
    strict: bool
    textual: bool
    labels: list[str]


def read_fields(text: str) -> Fields:
    """The boxes and points of one object's text: as JSON if it is that, else by its keys and lists."""
    try:
        items = json.loads(text, object_pairs_hook=tuple)  # a dictionary keeps the last of equal keys only
        strict = isinstance(items, tuple)
    except (ValueError, RecursionError):  # int() of thousands of digits is a ValueError too
        strict = False
    boxes, points, textual = [], [], False
    for key, value in items if strict else _guess(text):
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
    objects = _shared_out(boxes, points)
    labels = _labels(items if strict else text)
    labels = labels if len(labels) == len(objects) else labels[:1] * len(objects)
    return Fields(objects, strict, textual, labels or [""] * len(objects))


def _guess(text: str) -> Iterator[tuple[str, list]]:
    """Keys and their lists in a text that is no JSON: of numbers, or of such lists where it has several."""
    for field in _FIELD.finditer(text):
        lists, end = [_split(field[2])], field.end()
        while further := _FURTHER.match(text, end):
            lists.append(_split(further[1]))
            end = further.end()
        yield field[1], lists if len(lists) > 1 else lists[0]


def _split(text: str) -> list[str]:
    return text.strip(" []()").rstrip(", \n").split(",")


def _labels(source: tuple | str) -> list[str]:
    """What an object is called: lines without control characters, cut at LABEL_CHARS."""
    if isinstance(source, str):
        said = [found[1:-1] for found in _LABEL.findall(source)]
    else:
        said = [value for key, value in source if key.lower() == "label" and isinstance(value, str)]
    clean = ("".join(char if char.isprintable() else " " for char in each) for each in said)
    return [" ".join(each.split())[:LABEL_CHARS] for each in clean]


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
        holding = [i for i, box in enumerate(boxes) if are_finite(box, 4) and _holds(box, point)]
        shares[holding[0] if holding else 0].append(point)
    return list(zip(boxes, shares, strict=True))


def _holds(box: Numbers, point: Numbers) -> bool:
    x1, y1, x2, y2 = box
    corners = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    return are_finite(point, 2) and inside(point, corners)


def _flatten(value: object) -> list:
    """A list with the lists directly in it opened: [[1, 2], [3, 4]] is a box too, and so is "1, 2, 3, 4"."""
    if isinstance(value, str):
        value = _split(value)
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


def are_finite(numbers: Numbers, count: int) -> bool:
    """Whether these are as many numbers, all of them finite."""
    return len(numbers) == count and all(n is not None and math.isfinite(n) for n in numbers)
