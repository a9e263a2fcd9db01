"""One row of training data, whatever it came from, and why another row is none.

frame_solution([Target((10, 20, 30, 40), ((20, 30),))], wh=(640, 480), preset=PRESETS["mini"])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from segzero.contract import Preset, Target
from segzero.data import LeftOut
from train.solution import write_solution


class Unusable(ValueError):
    """A row that cannot be used. reason: words that other rows share, to count by; detail: its own story."""

    def __init__(self, reason: str, detail: object = "") -> None:
        super().__init__(f"{reason}: {detail}" if str(detail) else reason)
        self.reason, self.detail = reason, str(detail)

    def left_out(self, where: str) -> LeftOut:
        """What a report says of the row."""
        return LeftOut(where, self.reason, self.detail)


@dataclass(frozen=True)
class Row:
    """A question about a picture, with its answer.

    image: the picture's path. question: as asked. solution: in pixels of the frame. wh: the original
    picture's size. masks: COCO run lengths of each object, in pixels of the upright picture; None where only
    boxes are known, () where nothing matches.
    """

    id: str
    image: str
    question: str
    solution: str
    wh: tuple[int, int]
    masks: tuple[dict[str, Any], ...] | None = None


def frame_solution(targets: Sequence[Target], wh: tuple[int, int], preset: Preset) -> str:
    """The solution of targets in pixels of a picture of size `wh`, in the preset's frame and dialect.

    Raises Unusable when an object has no area left in whole pixels, or the dialect cannot say it.
    """
    inside = [preset.frame.written(target, wh) for target in targets]
    for target in inside:
        x1, y1, x2, y2 = target.box_xyxy
        if x1 == x2 or y1 == y2:
            most = preset.frame.numbers_px
            raise Unusable("an object is too small for the frame", f"{target.box_xyxy} of {most}")
    try:
        return write_solution(inside, preset.dialect)
    except ValueError as error:
        raise Unusable(f"the {preset.dialect.name} dialect cannot say it", error) from error
