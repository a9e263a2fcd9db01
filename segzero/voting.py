"""One mask from several answers, and how far they agree: quality bought with more answers.

    result = vote([mask_a, mask_b, None])            # None: an answer that failed
    result.masks["weighted"], result.agreement
    majority_objects([[(mask_a, 0.9)], [(mask_b, 0.8)], []], image_hw=(480, 640))

Rules, of which docs/evaluation.md says what they bring:
    medoid             the whole mask of the answer that agrees most with the others, by mean IoU
    weighted           each pixel by majority, an answer weighing as much as it agrees with the medoid
    majority           each pixel by majority, all answers alike
    majority_objects   the objects that most answers show, as StAR votes (arXiv 2603.14382); the other rules
                       know an answer's mask only, this one its objects

The evaluation counts all of them, `Pipeline.run(..., samples=K)` takes majority_objects. Imports nothing else
of the program.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pycocotools import mask as coco

OF_MASKS = ("weighted", "majority", "medoid")
OF_OBJECTS = "majority_objects"
RULES = (*OF_MASKS, OF_OBJECTS)
ONE = "one"  # beside the rules: the first answer, the greedy one, alone

NOTHING_FROM, SAME_FROM, SUPPORT_FROM, PIXEL_FROM = 0.5, 0.85, 0.2, 0.5
"""Of majority_objects: the share of answers that say "none", the IoU of one object in two answers, the share
of answers that have to show an object, and the share of the scores that a pixel needs."""

Scored = tuple[np.ndarray, float]
"""An object in an answer: its mask, (H, W) bool, and the segmenter's score of it."""


@dataclass(frozen=True, eq=False)
class Vote:
    """masks: by rule of OF_MASKS, (H, W) bool. agreement: mean IoU over all pairs of answers, 0..1, a failed
    one agreeing with none; the confidence in the result. medoid: the index of the answer that agrees most."""

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
    best = int(np.argmax(others))  # of equals the first
    return Vote(
        masks={
            "weighted": _majority(masks, ious[best], masks[best]),
            "majority": _majority(masks, np.ones(len(voters)), masks[best]),
            "medoid": masks[best],
        },
        agreement=_agreement(ious, len(answers)),
        medoid=voters[best],
    )


def agreement(answers: Sequence[np.ndarray | None]) -> float:
    """The agreement of a Vote of these answers alone; 0.0 when all have failed."""
    masks = [mask for mask in answers if mask is not None]
    return _agreement(pairwise_iou(np.stack(masks)), len(answers)) if masks else 0.0


def nearest(mask: np.ndarray, answers: Sequence[np.ndarray | None]) -> int:
    """The index of the answer most like a mask, (H, W) bool all of them; 0 when all have failed."""
    ious = [-1.0 if each is None else pairwise_iou(np.stack([mask, each]))[0, 1] for each in answers]
    return int(np.argmax(ious))  # of equals the first


def pairwise_iou(masks: np.ndarray) -> np.ndarray:
    """masks (V, H, W) bool -> (V, V) float64; 1 where both are empty."""
    common = np.array([[np.count_nonzero(a & b) for b in masks] for a in masks], np.float64)
    area = np.diagonal(common)
    union = area[:, None] + area[None] - common
    return np.divide(common, union, out=np.ones(union.shape), where=union > 0)


def _agreement(ious: np.ndarray, answers: int) -> float:
    """ious: (V, V) of those answers that have not failed."""
    pairs = answers * (answers - 1)
    return float((ious.sum(1) - 1).sum() / pairs) if pairs else 1.0


def _majority(masks: np.ndarray, weights: np.ndarray, medoid: np.ndarray) -> np.ndarray:
    """(H, W) bool: the pixels that more than half of all weight is for.

    Where most point at something, but no pixel has a majority, that is no vote for nothing: the medoid it is.
    """
    voted = np.tensordot(weights, masks, axes=1) > weights.sum() / 2
    for_nothing = weights[~masks.any(axis=(1, 2))].sum()
    return voted if voted.any() or for_nothing > weights.sum() / 2 else medoid


@dataclass(frozen=True, eq=False)
class Shown:
    """An object as one answer shows it: which answer, which of its objects, and that one's mask and score."""

    answer: int
    index: int
    mask: np.ndarray
    score: float


@dataclass(frozen=True, eq=False)
class Elected:
    """An object that a vote elected: all that show it, in order, in which one answer may do so twice."""

    shown: tuple[Shown, ...]

    @property
    def support(self) -> int:
        """How many answers show it."""
        return len({each.answer for each in self.shown})

    @property
    def best(self) -> Shown:
        """The one with the best score, of equals the largest, of those the first."""
        return max(self.shown, key=lambda each: (each.score, np.count_nonzero(each.mask)))

    @property
    def consensus(self) -> np.ndarray:
        """(H, W) bool: the pixels that half the scores or more are for."""
        scores = np.array([max(each.score, 0.0) for each in self.shown])
        scores = scores if scores.any() else np.ones(len(scores))
        votes = np.tensordot(scores, np.stack([each.mask for each in self.shown]), axes=1)
        return votes >= PIXEL_FROM * scores.sum()


def majority_objects(
    samples: Sequence[Sequence[Scored] | None],
    image_hw: tuple[int, int],
    aggregate: Literal["best", "consensus"] = "best",
) -> np.ndarray:
    """The mask of all objects that answers elect, (H, W) bool, of the picture's size.

    samples: see elect_objects. aggregate: of each object the best of the masks that show it, or a vote of its
    pixels weighted by score. Raises ValueError for another aggregate.
    """
    if aggregate not in ("best", "consensus"):
        raise ValueError(f'objects are put together by "best" or "consensus", not {aggregate!r}')
    union = np.zeros(image_hw, bool)
    for each in elect_objects(samples):
        union |= each.best.mask if aggregate == "best" else each.consensus
    return union


def elect_objects(samples: Sequence[Sequence[Scored] | None]) -> list[Elected]:
    """The objects that answers elect, those that most of them show first; [] where they elect nothing.

    samples: of each answer its objects; [] says that nothing matches, None is an answer that failed and has
    no vote. As many objects are elected as most answers have that have any; of counts that are as frequent
    the one that comes first.
    """
    voters = [index for index, sample in enumerate(samples) if sample is not None]
    counts = [len(samples[index]) for index in voters]
    if not voters or counts.count(0) / len(voters) >= NOTHING_FROM:
        return []
    often = Counter(count for count in counts if count).most_common(1)[0][0]
    objects = _alike(
        [
            Shown(index, number, np.asarray(mask, bool), float(score))
            for index in voters
            for number, (mask, score) in enumerate(samples[index])
        ]
    )
    known = [each for each in objects if each.support / len(voters) >= SUPPORT_FROM] or objects
    known.sort(key=lambda each: (-each.support, -float(np.mean([one.score for one in each.shown]))))
    return known[:often]


def _alike(shown: Sequence[Shown]) -> list[Elected]:
    """What shows the same object, put together: each joins the earliest group whose first one it is like."""
    groups: list[list[Shown]] = []
    firsts: list[dict] = []  # the first of each group, as COCO's run lengths, which compare fast
    for each in shown:
        runs = coco.encode(np.asfortranarray(each.mask, dtype=np.uint8))
        like = coco.iou([runs], firsts, [0] * len(firsts))[0] >= SAME_FROM if firsts else np.zeros(0, bool)
        if like.any():
            groups[int(np.argmax(like))].append(each)
        else:
            groups.append([each])
            firsts.append(runs)
    return [Elected(tuple(group)) for group in groups]
