"""What a visit keeps of answers, small enough to keep many: no pixels, masks as run lengths.

turn = turn.put_away(view, record)          # record: as segzero.pictures.to_json writes a result
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from page.stage import View

KEPT_BYTES = 1_000_000  # of answers put away, for each visit: some fifty of them


@dataclass(frozen=True, eq=False)
class Turn:
    """A question and what came of it.

    start: the index of the question in the chat. source: the picture's file. question: as asked.
    view: what the stage showed of it last; None before that, and when it was forgotten for want of room.
    record: its result as JSON; None when it ended without one. size: of both, in bytes, about.
    """

    start: int
    source: str
    question: str
    view: View | None = None
    record: dict[str, Any] | None = None
    size: int = 0

    def put_away(self, view: View, record: dict[str, Any] | None) -> Turn:
        view = replace(view, inspection=None)
        size = sum(len(each.mask) for each in view.objects) + len(json.dumps(record))
        return replace(self, view=view, record=record, size=size)

    def forgotten(self) -> Turn:
        return Turn(self.start, self.source, self.question)


@dataclass(frozen=True, eq=False)
class Before:
    """Object `index` of a record as it was before a correction."""

    index: int
    target: dict[str, Any]

    @classmethod
    def of(cls, record: dict[str, Any], index: int) -> Before:
        return cls(index, record["targets"][index])

    def restored(self, record: dict[str, Any]) -> dict[str, Any]:
        """`record` with the object as it was."""
        targets = list(record["targets"])
        targets[self.index] = self.target
        return {**record, "targets": targets}


def within_bounds(turns: Sequence[Turn], at: int) -> list[Turn]:
    """The turns, the oldest of them forgotten until the rest has room; turn `at` stays."""
    kept, room = list(turns), KEPT_BYTES - sum(turn.size for turn in turns)
    for index, turn in enumerate(turns):
        if room >= 0:
            break
        if index != at and turn.size:
            kept[index], room = turn.forgotten(), room + turn.size
    return kept
