"""What a question brings: events while it is answered, and the result.

    for event in pipeline.stream(picture, question):
        if isinstance(event, Segmented): show(event.mask)

Boxes, points and masks are in pixels of the upright picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from segzero.contract.geometry import Point, Target

STOPPED = "stopped"
"""The `problem` of a result whose question was cancelled."""


@dataclass(frozen=True, eq=False)
class Result:
    """What came of a question.

    image_wh: its size. preset: the preset's name.
    status: "ok", "no_target" (nothing in the picture matches) or "unreadable" (the answer did not parse).
    problem: "" when all is clean; else what was accepted by mercy, why it is unreadable, or "stopped".
    thinking: the chain of thought. raw: every character the model emitted.
    targets: what it points at. masks: (N, H, W) bool.
    scores: (N,) float32, the segmenter's own IoU estimates, 0..1.
    seconds: "picture" (loading it), "first_token" and all of "reasoning", "embedding" (beside the reasoning),
        "segmentation" (decoding all masks), "total"; 0.0 for what did not happen.
    tokens: pieces of text received, about one a token.
    picture: the upright RGB picture, for `refine`; None in a result read from a file.
    clicks: points added by `refine`, by target: ((x, y), True to add or False to remove), oldest first.
    confidence: how far several answers agree, 0..1 (segzero/voting.py); None of one answer. The targets are
        then those that most answers show, thinking and raw of the answer nearest to them, tokens not counted.
    """

    question: str
    preset: str
    image_wh: tuple[int, int]
    status: str
    problem: str
    thinking: str
    raw: str
    targets: list[Target]
    masks: np.ndarray = field(repr=False)
    scores: np.ndarray
    seconds: dict[str, float]
    tokens: int = 0
    picture: Image.Image | None = field(default=None, repr=False)
    clicks: dict[int, tuple[tuple[Point, bool], ...]] = field(default_factory=dict)
    confidence: float | None = None

    @property
    def labels(self) -> list[str]:
        """What the answer calls each target; "" where it does not say."""
        return [target.label for target in self.targets]

    @property
    def mask(self) -> np.ndarray:
        """The union of all masks, (H, W) bool."""
        return self.masks.any(axis=0)


@dataclass(frozen=True)
class Thinking:
    """The chain of thought so far, all of it."""

    text: str


@dataclass(frozen=True)
class Located:
    """A target, as soon as its object closes in the answer."""

    index: int
    target: Target


@dataclass(frozen=True, eq=False)
class Segmented:
    """A target's mask, (H, W) bool, and the segmenter's estimate of its IoU."""

    index: int
    target: Target
    mask: np.ndarray = field(repr=False)
    score: float


@dataclass(frozen=True)
class Finished:
    """The last event."""

    result: Result


Event = Thinking | Located | Segmented | Finished
