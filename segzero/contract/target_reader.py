"""One JSON object of an answer, from its text to a target in the picture.

    from segzero.contract.target_reader import TargetReader
    reader = TargetReader(MULTI, Frame(frame_px=840), image_wh=(640, 360))
    reader.add('{"bbox_2d": [0,0,84,84], "point_2d": [42,42]}')

What it accepts although no dialect writes it so, and what it leaves out, it keeps as notes for the answer.
"""

from __future__ import annotations

from collections.abc import Callable

from segzero.contract.dialect import Dialect
from segzero.contract.frame import Frame, Unit
from segzero.contract.geometry import Box, Point, Target, clip_box, clip_point, inside, scale_box, scale_point
from segzero.contract.object_fields import Numbers, are_finite, read_fields

_SHOWN: Unit = "pixels of what it is shown"
_STRAY = 1.02  # a model that counts pixels may miss the frame's edge by that much


class TargetReader:
    """Collects the targets of one answer, and what was odd about them.

    targets: those accepted so far, original-image pixels. written: the same in the frame's numbers.
    objects: JSON objects so far. seen: boxes so far, the dropped ones included. guessed: an object was not
    valid JSON.
    """

    def __init__(self, dialect: Dialect, frame: Frame, image_wh: tuple[int, int]) -> None:
        self._dialect, self._frame, self._image_wh = dialect, frame, image_wh
        self._numbers_wh = frame.numbers_wh(image_wh)
        self._notes: dict[str, list[int]] = {}
        self._farthest = 0.0  # the largest number, in frames: up to 1 it is inside
        self.targets: list[Target] = []
        self.written: list[Target] = []
        self.objects = self.seen = 0
        self.guessed = False

    def add(self, text: str) -> None:
        """Read one object: its targets, and in the notes what was odd and why something was dropped."""
        self.objects += 1
        fields = read_fields(text)
        for (numbers, pairs), label in zip(fields.objects, fields.labels, strict=True):
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
            self._read(numbers, pairs, label if self._dialect.labels else "")

    def notes(self) -> list[str]:
        """One sentence a kind of oddity, naming the targets by their place in the answer."""
        notes = [f"{_name(numbers)}: {what}." for what, numbers in self._notes.items()]
        if self._farthest > _STRAY:
            width, height = self._numbers_wh
            notes.append(
                f"There are numbers that cannot be pixels of the frame, {width} x {height}: "
                "the model may write on another grid, such as 0 to 1000."
            )
        return notes

    def _note(self, what: str) -> None:
        numbers = self._notes.setdefault(what, [])
        if self.seen not in numbers[-1:]:
            numbers.append(self.seen)

    def _read(self, numbers: Numbers, pairs: list[Numbers], label: str) -> None:
        """Keep the target of one box and its points, unless there is none to use."""
        if not are_finite(numbers, 4):
            self._note("dropped, its bbox is not four finite numbers")
            return
        if not all(are_finite(pair, 2) for pair in pairs):
            self._note("a point that is not two finite numbers was ignored")
        box = self._in_order(self._frame.ordered(numbers))
        points = [tuple(self._frame.ordered(pair)) for pair in pairs if are_finite(pair, 2)]
        unit = self._frame.unit([*box, *(value for point in points for value in point)])
        placed = self._of_pixels(box, points) if unit == _SHOWN else self._of_a_grid(box, points, unit)
        if placed is not None:
            (written, points), (box_xyxy, points_xy) = placed
            self.written.append(Target(written, tuple(points), label))
            self.targets.append(Target(box_xyxy, tuple(points_xy), label))

    def _in_order(self, numbers: Numbers) -> Box:
        x1, y1, x2, y2 = numbers
        if x1 > x2 or y1 > y2:
            self._note("box corners were swapped, put in order")
        return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)

    def _of_pixels(self, box: Box, points: list[Point]) -> _Placed | None:
        """Pixels of what the model is shown: clipped there, and rounded as the dialect's release does."""
        shown_wh = self._numbers_wh
        self._look_how_far(box)
        if all(0 <= value <= 1 for value in box):
            self._note("its box lies between 0 and 1, which cannot be pixels; the model may write fractions")
        if box[0] == box[2] or box[1] == box[3]:
            self._note("dropped, its box has no area")
            return None
        clipped = clip_box(box, shown_wh)
        if clipped is None:
            self._note("dropped, its box lies outside the picture")
            return None
        if clipped != box:
            self._note("box reached outside the picture, clipped")
        for point in points:
            self._look_how_far(point)
        points = self._points([_clamped(point, shown_wh, self._moved) for point in points], clipped)
        change = (shown_wh, self._image_wh, self._dialect.scale)
        box_xyxy = _fit(scale_box(clipped, *change), self._image_wh)
        return (clipped, points), (
            box_xyxy,
            [clip_point(scale_point(point, *change), self._image_wh) for point in points],
        )

    def _of_a_grid(self, box: Box, points: list[Point], unit: Unit) -> _Placed:
        """A grid's numbers, or what the model wrote in their place: moved into the picture, as StAR does."""
        if unit != "grid":
            self._note(f"its numbers were taken for {unit}")
        ends_wh = {"fractions": (1, 1), "pixels of the picture": self._image_wh}.get(unit, self._numbers_wh)
        if clip_box(box, ends_wh) != box and (box[0] < box[2] and box[1] < box[3]):
            self._note("box reached outside the picture, clipped")
        points = self._points([_clamped(point, ends_wh, self._moved) for point in points], box)

        def pixels(values: Box | Point) -> list[int]:
            return [self._frame.pixel(v, unit, self._image_wh[i % 2]) for i, v in enumerate(values)]

        x1, y1, x2, y2 = pixels(box)
        if x1 == x2 or y1 == y2:
            self._note("its box has no area in the picture, widened by a pixel")
        (x1, x2), (y1, y2) = _widened(x1, x2, self._image_wh[0]), _widened(y1, y2, self._image_wh[1])
        return (box, points), ((x1, y1, x2, y2), [tuple(pixels(point)) for point in points])

    def _moved(self) -> None:
        self._note("point outside the picture, moved to its edge")

    def _points(self, points: list[Point], box: Box) -> list[Point]:
        """As many points as the dialect has."""
        expected = self._dialect.points_per_target
        if not all(inside(point, box) for point in points):
            self._note("point outside its own box")
        if not points:
            self._note("no point")
        elif len(points) < expected:
            self._note(f"only {len(points)} of {expected} points")
        elif len(points) > expected:
            self._note(f"more than {expected} point{'s' * (expected > 1)}, the rest ignored")
        return points[:expected]

    def _look_how_far(self, numbers: Box | Point) -> None:
        """Note how far x, y, … reach, the frame's own width and height being 1."""
        sides = self._numbers_wh * (len(numbers) // 2)
        self._farthest = max(self._farthest, *(n / side for n, side in zip(numbers, sides, strict=True)))


_Placed = tuple[tuple[Box, list[Point]], tuple[Box, list[Point]]]
"""A box and points as written, and in the picture."""


def _clamped(point: Point, wh: tuple[int, int], moved: Callable[[], None]) -> Point:
    x, y = min(max(point[0], 0), wh[0]), min(max(point[1], 0), wh[1])
    if (x, y) != point:
        moved()
    return x, y


def _widened(low: int, high: int, size: int) -> tuple[int, int]:
    """At least a pixel wide, inside 0 .. size - 1 where there is room."""
    if low < high:
        return low, high
    return (low, low + 1) if low + 1 < size or not low else (low - 1, low)


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
