"""What a visit keeps of answers that are over, small enough to keep many: masks as run lengths.

turn = Turn.of(turn, view, result)          # put away
result = turn.result(image)                 # taken out again, ready to be corrected
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from page.stage import View
from segzero.contract import Result, Target
from segzero.pictures import decode_rle, encode_mask, from_json, to_json


@dataclass(frozen=True, eq=False)
class Turn:
    """A question and what came of it.

    start: the index of the question in the chat. source: the picture's file. question: as asked.
    view: what the stage showed of it last. record: its result as JSON; None when it ended without one.
    """

    start: int
    source: str
    question: str
    view: View | None = None
    record: dict[str, Any] | None = None

    def put_away(self, view: View, result: Result | None) -> Turn:
        return replace(self, view=view, record=result and to_json(result))

    def result(self, image: Image.Image) -> Result | None:
        """The result, about its picture, so that it can be corrected."""
        return from_json(self.record, image) if self.record else None


@dataclass(frozen=True, eq=False)
class Before:
    """Object `index` as it was before a correction."""

    index: int
    target: Target
    mask: dict[str, Any]
    score: float
    clicks: tuple

    @classmethod
    def of(cls, result: Result, index: int) -> Before:
        mask, score = encode_mask(result.masks[index]), float(result.scores[index])
        return cls(index, result.targets[index], mask, score, result.clicks.get(index, ()))

    def restored(self, result: Result) -> Result:
        """`result` with the object as it was."""
        targets, masks, scores = list(result.targets), result.masks.copy(), result.scores.copy()
        targets[self.index], scores[self.index] = self.target, self.score
        masks[self.index] = decode_rle(self.mask)
        return replace(
            result,
            targets=targets,
            masks=masks,
            scores=scores,
            clicks={**result.clicks, self.index: self.clicks},
        )
