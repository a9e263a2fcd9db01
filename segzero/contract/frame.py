"""What a reasoner is shown of a picture, and what the numbers that it writes mean.

    from segzero.contract import Frame
    Frame(frame_px=840).show(picture)                      # Seg-Zero: a square, numbers are its pixels
    Frame(frame_px=840, grid=1000)                         # StAR-8B: the same square, numbers are thousandths
    Frame(max_pixels=10**6, multiple=32, grid=1000)       # its own shape, as Qwen3-VL was trained

Whoever shows, reads or writes coordinates of a model asks the preset's frame: answers, solutions, evaluation,
training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

from PIL import Image

from segzero.contract.geometry import Target

MAX_SIDE_PX = 4096
MAX_PIXELS = MAX_SIDE_PX**2
MAX_RATIO = 199
FRACTIONS_TO = 1.2  # on a grid: numbers up to here are fractions of a side, as StAR's reader has it
OFF_GRID = 0.0005  # and from so much of the grid beyond its end on they are pixels of the picture

Unit = Literal["pixels of what it is shown", "grid", "fractions", "pixels of the picture"]


class FrameError(ValueError):
    """A frame that no model could have; one line that says why."""


@dataclass(frozen=True)
class Frame:
    """How pictures are shown to a model, and the numbers it answers with.

    frame_px: the picture is squashed to a square of so many pixels. Or, instead,
    max_pixels: it keeps its own shape and size, but within so many pixels, sides multiples of `multiple`.
    grid: None where the model's numbers are pixels of what it is shown; N where they run from 0 to N - 1 over
        the picture's width and height.
    order: of a box's four numbers and of a point's two: "xyxy", or "yxyx" for models that put rows first.
    Raises FrameError for other values.
    """

    frame_px: int | None = None
    max_pixels: int | None = None
    multiple: int = 28
    grid: int | None = None
    order: Literal["xyxy", "yxyx"] = "xyxy"

    def __post_init__(self) -> None:
        if (self.frame_px is None) == (self.max_pixels is None):
            raise FrameError("a frame is a square of frame_px, or the picture's own shape in max_pixels")
        _check_whole("frame_px", self.frame_px, 1, MAX_SIDE_PX)
        _check_whole("multiple", self.multiple, 1, 256)
        _check_whole("max_pixels", self.max_pixels, self.multiple**2, MAX_PIXELS)
        _check_whole("grid", self.grid, 2, 100_000)
        if self.order not in ("xyxy", "yxyx"):
            raise FrameError(f"order is xyxy or yxyx, not {self.order!r}")

    @property
    def settings(self) -> dict[str, object]:
        """What is not as by default, by name: `Frame(**settings)` is the same frame."""
        names = [field.name for field in fields(self)]
        return {name: own for name in names if (own := getattr(self, name)) != getattr(Frame, name)}

    @property
    def numbers_px(self) -> int:
        """How far the numbers reach in both directions: training wants a frame of which that is so.

        Raises FrameError for pixels of a picture's own shape, and for numbers that put rows first.
        """
        if (self.grid is None and self.frame_px is None) or self.order != "xyxy":
            raise FrameError("training wants a square frame, or numbers on a grid, x before y")
        return self.grid or self.frame_px

    def shown_wh(self, image_wh: tuple[int, int]) -> tuple[int, int]:
        """The size in which the model is shown a picture of size `image_wh`."""
        if self.frame_px is not None:
            return self.frame_px, self.frame_px
        return _within(image_wh, self.max_pixels, self.multiple)

    def show(self, image: Image.Image) -> Image.Image:
        """An RGB picture as the model is shown it: the only resize.

        Bilinear to a square, as the published weights were trained; bicubic in its own shape, as Qwen's
        processors do. Raises ValueError for a picture of another mode.
        """
        if image.mode != "RGB":
            raise ValueError(f"a frame shows RGB pictures, not {image.mode}; load_picture makes one")
        square = self.frame_px is not None
        how = Image.Resampling.BILINEAR if square else Image.Resampling.BICUBIC
        return image.resize(self.shown_wh(image.size), how)

    def numbers_wh(self, image_wh: tuple[int, int]) -> tuple[int, int]:
        """How far the model's numbers reach across and down, for a picture of size `image_wh`."""
        return self.shown_wh(image_wh) if self.grid is None else (self.grid, self.grid)

    def unit(self, numbers: Sequence[float]) -> Unit:
        """What the numbers of one object are.

        A model of a grid leaves it now and then. As in StAR, numbers that are all small are taken
        for fractions of a side, and ones beyond the grid for pixels of the picture.
        """
        if self.grid is None:
            return "pixels of what it is shown"
        largest = max(numbers, default=0)
        if largest <= FRACTIONS_TO:
            return "fractions"
        return "grid" if largest <= self.grid * (1 + OFF_GRID) else "pixels of the picture"

    def pixel(self, number: float, unit: Unit, side_px: int) -> int:
        """A number of a grid's frame as a pixel of the picture, inside it.

        side_px: the picture's side along that axis, of which the grid's last number is the last pixel.
        """
        if unit == "grid":
            number = number * (side_px - 1) / (self.grid - 1)
        elif unit == "fractions":
            number = number * (side_px - 1)
        return min(max(round(number), 0), side_px - 1)

    def written(self, target: Target, image_wh: tuple[int, int]) -> Target:
        """A target in pixels of the picture, in whole numbers as the model is to write them, before `order`.

        Inside 0 .. numbers_wh - 1. Too small an object may have no area left.
        """
        if self.grid is None:
            most_wh = self.shown_wh(image_wh)
            factors = [most / side for most, side in zip(most_wh, image_wh, strict=True)]
        else:
            most_wh = (self.grid, self.grid)
            factors = [(self.grid - 1) / max(side - 1, 1) for side in image_wh]

        def fit(value: float, axis: int) -> int:
            return min(max(round(value * factors[axis]), 0), most_wh[axis] - 1)

        box = tuple(fit(value, index % 2) for index, value in enumerate(target.box_xyxy))
        points = tuple((fit(x, 0), fit(y, 1)) for x, y in target.points_xy)
        return replace(target, box_xyxy=box, points_xy=points)

    def ordered(self, numbers: Sequence[float]) -> list[float]:
        """Two or four numbers as the model writes them, x before y; and back."""
        if self.order == "xyxy":
            return list(numbers)
        return [number for pair in zip(numbers[1::2], numbers[::2], strict=True) for number in pair]


def _check_whole(name: str, value: int | None, least: int, most: int) -> None:
    if value is not None and (type(value) is not int or not least <= value <= most):
        raise FrameError(f"{name} is a whole number from {least} to {most}, not {value!r}")


def _within(wh: tuple[int, int], max_pixels: int, multiple: int) -> tuple[int, int]:
    """Qwen's rule: each side to its nearest multiple; of too many pixels, both shrunk alike and rounded down.

    Its processors refuse a side of more than 200 times the other: such a picture is shown less long.
    """
    wh = (min(wh[0], MAX_RATIO * wh[1]), min(wh[1], MAX_RATIO * wh[0]))
    width, height = (max(multiple, round(side / multiple) * multiple) for side in wh)
    if width * height > max_pixels:
        shrink = math.sqrt(wh[0] * wh[1] / max_pixels)
        width, height = (max(multiple, math.floor(side / shrink / multiple) * multiple) for side in wh)
    return width, height
