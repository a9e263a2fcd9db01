"""One mask from several answers, and how far they agree: quality bought with more answers.

    result = vote([mask_a, mask_b, None])            # None: an answer that failed
    result.masks["weighted"], result.agreement

Rules, of which docs/evaluation.md says what they bring:
    medoid     the whole mask of the answer that agrees most with the others, by mean IoU
    weighted   each pixel by majority, an answer weighing as much as it agrees with the medoid
    majority   each pixel by majority, all answers alike
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RULES = ("weighted", "majority", "medoid")
ONE = "one"  # beside the rules: the first answer, the greedy one, alone


@dataclass(frozen=True, eq=False)
class Vote:
    """masks: by rule, (H, W) bool. agreement: mean IoU over all pairs of answers, 0..1, a failed one agreeing
    with none; the confidence in the result. medoid: the index of the answer that agrees most."""

    masks: dict[str, np.ndarray]
    agreement: float
    medoid: int


def vote(answers: Sequence[np.ndarray | None]) -> Vote:
    """Let (H, W) bool masks vote; an empty one votes for nothing. Raises ValueError when all have failed."""
    voters = [index for index, mask in enumerate(answers) if mask is not None]
    if not voters:
        raise ValueError("no answer has a mask: there is nothing to vote on")
    masks = np.stack([answers[index] for index in voters])  # (V, H, W)
    ious = pairwise_iou(masks)
    others = ious.sum(1) - 1  # an answer's own vote for itself does not count
    pairs = len(answers) * (len(answers) - 1)
    best = int(np.argmax(others))  # of equals the first
    return Vote(
        masks={
            "weighted": _majority(masks, ious[best], masks[best]),
            "majority": _majority(masks, np.ones(len(voters)), masks[best]),
            "medoid": masks[best],
        },
        agreement=float(others.sum() / pairs) if pairs else 1.0,
        medoid=voters[best],
    )


def pairwise_iou(masks: np.ndarray) -> np.ndarray:
    """masks (V, H, W) bool -> (V, V) float64; 1 where both are empty."""
    common = np.array([[np.count_nonzero(a & b) for b in masks] for a in masks], np.float64)
    area = np.diagonal(common)
    union = area[:, None] + area[None] - common
    return np.divide(common, union, out=np.ones(union.shape), where=union > 0)


def _majority(masks: np.ndarray, weights: np.ndarray, medoid: np.ndarray) -> np.ndarray:
    """(H, W) bool: the pixels that more than half of all weight is for.

    Where most point at something, but no pixel has a majority, that is no vote for nothing: the medoid it is.
    """
    voted = np.tensordot(weights, masks, axes=1) > weights.sum() / 2
    for_nothing = weights[~masks.any(axis=(1, 2))].sum()
    return voted if voted.any() or for_nothing > weights.sum() / 2 else medoid
