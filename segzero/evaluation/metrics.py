"""How good masks are: one sample's pixels counted, then many samples' metrics with 95 % intervals.

    one = overlap(predicted, truth, ignore)                          # Overlap(intersection=1, union=2, …)
    measure([Counted(iou=0.5, intersection=1, union=2)])["gIoU"]     # Estimate(value=0.5, low=0.5, …)

Every metric here is a ratio of two sums over samples, so one bootstrap serves them all. What becomes of
failed answers, empty masks and ignored pixels is decided by a protocol (segzero/evaluation/protocols.py),
not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segzero.contract import Box, box_iou

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
BOX_THRESHOLD = 0.5
RESAMPLES = 2000
_PERCENTILES = (2.5, 97.5)
_DRAWN_AT_ONCE = 1 << 20  # bounds the memory of the bootstrap


@dataclass(frozen=True)
class Overlap:
    """Pixels of one prediction and its truth, outside what is ignored. Raises ValueError for other counts."""

    intersection: int
    union: int
    predicted: int
    truth: int

    def __post_init__(self) -> None:
        counts = (self.intersection, self.union, self.predicted, self.truth)
        if (
            not all(type(count) is int and 0 <= count < 2**53 for count in counts)
            or self.intersection > self.union
        ):
            raise ValueError(f"pixels are counted 0, 1, 2, …, and those in common are of the union: {self!r}")


@dataclass(frozen=True)
class Counted:
    """What one sample adds under some protocol.

    iou: 0..1. intersection, union: pixels. has_target: whether the truth has any pixel. found: whether the
    prediction has any. says_none: whether the answer is taken to say that nothing matches; a failed answer
    may do neither. box_iou: of the boxes around all that is predicted and all that is true; None: not asked.
    """

    iou: float
    intersection: int
    union: int
    has_target: bool = True
    found: bool = True
    says_none: bool = False
    box_iou: float | None = None


@dataclass(frozen=True)
class Estimate:
    """A metric, the ends of its 95 % bootstrap interval, and of how many samples; nan if there are none."""

    value: float
    low: float
    high: float
    count: int


def overlap(predicted: np.ndarray, truth: np.ndarray, ignore: np.ndarray | None = None) -> Overlap:
    """Count pixels of three (H, W) bool masks; those of `ignore` count nowhere.

    Raises ValueError when the shapes differ or a mask is not boolean.
    """
    masks = [mask for mask in (predicted, truth, ignore) if mask is not None]
    for mask in masks:
        if mask.ndim != 2 or mask.dtype != bool:
            raise ValueError(f"a mask is (H, W) bool, not {mask.dtype} of shape {mask.shape}")
    if len({mask.shape for mask in masks}) > 1:
        raise ValueError(f"masks of different shapes: {', '.join(str(mask.shape) for mask in masks)}")
    if ignore is not None:
        predicted, truth = predicted & ~ignore, truth & ~ignore
    common, first, second = (int(np.count_nonzero(m)) for m in (predicted & truth, predicted, truth))
    return Overlap(intersection=common, union=first + second - common, predicted=first, truth=second)


def hull(boxes_xyxy: Sequence[Box]) -> Box | None:
    """The smallest box around boxes of one frame; None around nothing."""
    if not boxes_xyxy:
        return None
    x1, y1, x2, y2 = zip(*boxes_xyxy, strict=True)
    return min(x1), min(y1), max(x2), max(y2)


def hull_iou(predicted: Sequence[Box], truth: Sequence[Box]) -> float:
    """IoU of the boxes around all predicted and all true boxes, xyxy edges: for one object the usual box IoU.

    0 when one side has none, 1 when neither has.
    """
    if not predicted or not truth:
        return float(not predicted and not truth)
    return box_iou(hull(predicted), hull(truth))


def measure(
    samples: Sequence[Counted | None], pictures: Sequence[str] | None = None, *, seed: int = 0
) -> dict[str, Estimate]:
    """Every metric of the samples, None standing for one that a protocol drops.

    pictures: which picture each sample is about. Questions about one picture succeed and fail together, so
    the bootstrap draws pictures; without it every sample is a picture of its own.
    gIoU: mean IoU. cIoU: all intersections over all unions. P@x: samples of IoU x or more among those with a
    target. box@0.5: the same for boxes, where asked. T-acc: something found among those with a target. N-acc:
    "nothing matches" said among those without.
    """
    parts = _parts(samples)
    sums = np.stack([row for pair in parts.values() for row in pair])  # (2 M, N)
    ratios = _ratios(_resample(_by_picture(sums, pictures), seed))  # (R, M)
    values = _ratios(sums.sum(1)[None])[0]  # (M,)
    low, high = _interval(ratios)
    return {
        name: Estimate(float(values[i]), float(low[i]), float(high[i]), int(np.count_nonzero(parts[name][1])))
        for i, name in enumerate(parts)
    }


def compare(
    before: Sequence[Counted | None],
    after: Sequence[Counted | None],
    pictures: Sequence[str] | None = None,
    *,
    seed: int = 0,
) -> dict[str, Estimate]:
    """after - before of every metric, paired: both are about the same samples, in the same order.

    count: the samples that either side counts. Raises ValueError when there are not as many on both sides.
    """
    if len(before) != len(after):
        raise ValueError(f"a paired difference wants the same samples, not {len(before)} and {len(after)}")
    sides = _parts(before), _parts(after)
    sums = np.stack([row for parts in sides for pair in parts.values() for row in pair])  # (4 M, N)
    drawn = _resample(_by_picture(sums, pictures), seed)
    half = len(sums) // 2
    low, high = _interval(_ratios(drawn[:, half:]) - _ratios(drawn[:, :half]))
    total = sums.sum(1)[None]
    values = (_ratios(total[:, half:]) - _ratios(total[:, :half]))[0]
    return {
        name: Estimate(
            float(values[i]),
            float(low[i]),
            float(high[i]),
            int(np.count_nonzero((sides[0][name][1] != 0) | (sides[1][name][1] != 0))),
        )
        for i, name in enumerate(sides[0])
    }


def _parts(samples: Sequence[Counted | None]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Each metric's numerators and denominators, (N,) float64 both."""

    def column(value) -> np.ndarray:
        return np.array([0 if sample is None else value(sample) for sample in samples], np.float64)

    iou, target = column(lambda s: s.iou), column(lambda s: s.has_target)
    box, boxed = column(lambda s: s.box_iou or 0), column(lambda s: s.box_iou is not None)
    return {
        "gIoU": (iou, column(lambda s: 1)),
        "cIoU": (column(lambda s: s.intersection), column(lambda s: s.union)),
        **{f"P@{t}": ((iou >= t) * target, target) for t in THRESHOLDS},
        f"box@{BOX_THRESHOLD}": ((box >= BOX_THRESHOLD) * boxed, boxed),
        "T-acc": (column(lambda s: s.found) * target, target),
        "N-acc": (column(lambda s: s.says_none and not s.has_target), column(lambda s: not s.has_target)),
    }


def _by_picture(sums: np.ndarray, pictures: Sequence[str] | None) -> np.ndarray:
    """(K, N) -> (K, P): the columns of each picture added up."""
    if pictures is None:
        return sums
    names, index = np.unique(np.asarray(pictures, dtype=object).astype(str), return_inverse=True)
    return np.stack([np.bincount(index, row, minlength=len(names)) for row in sums])


def _resample(sums: np.ndarray, seed: int) -> np.ndarray:
    """(K, P) -> (RESAMPLES, K): the sums over as many pictures, drawn with replacement."""
    rng, count = np.random.default_rng(seed), sums.shape[1]
    drawn = np.zeros((RESAMPLES, len(sums)))
    step = max(1, _DRAWN_AT_ONCE // max(count, 1))
    for start in range(0, RESAMPLES if count else 0, step):
        rows = min(step, RESAMPLES - start)
        picks = rng.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(picks.ravel(), minlength=rows * count).reshape(rows, count)
        drawn[start : start + rows] = times @ sums.T
    return drawn


def _ratios(sums: np.ndarray) -> np.ndarray:
    """(R, 2 M), numerators and denominators in turn -> (R, M), nan where the denominator is 0."""
    above, below = sums[:, ::2], sums[:, 1::2]
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)


def _interval(ratios: np.ndarray) -> np.ndarray:
    """(R, M) -> (2, M): the 95 % percentile interval of each column, nan where a column is all nan."""
    ends = np.full((2, ratios.shape[1]), np.nan)
    for column, drawn in enumerate(ratios.T):
        defined = drawn[~np.isnan(drawn)]
        if defined.size:
            ends[:, column] = np.percentile(defined, _PERCENTILES)
    return ends
