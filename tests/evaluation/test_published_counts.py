"""Named protocols beside what the scripts of that name count.

python -m pytest tests/evaluation/test_published_counts.py

`first_release`, `successor` and `calculate` follow the published evaluation loops and their calculator.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from segzero.evaluation import Record, count_under, measure, overlap
from segzero.evaluation.protocols import SEG_ZERO, VISION_REASONER

NOTHING, LEFT, ALL = (np.zeros((2, 6), bool) for _ in range(3))
LEFT[:, :2], ALL[:] = True, True


def compute_iou(mask1, mask2):
    intersection = np.logical_and(mask1, mask2).sum()
    union = np.logical_or(mask1, mask2).sum()
    if union == 0:
        return 0
    return intersection, union


def first_release(status, mask, truth):
    """A sample's intersection and union; None where the loop says `continue`. It cannot read `[]`."""
    try:
        if status != "ok":
            raise RuntimeError("a parse or SAM error")
        try:
            intersection, union = compute_iou(mask, truth)
        except TypeError:
            return None
    except RuntimeError:
        intersection, union = 0, truth.sum()
    return int(intersection), int(union)


def successor(status, mask, truth):
    if status == "unreadable":
        return 0, int(truth.sum())
    if status == "segmenter_error":
        return None
    try:
        intersection, union = compute_iou(mask, truth)
    except TypeError:
        return None
    return int(intersection), int(union)


def calculate(outputs):
    """n, gIoU and cIoU of the calculator."""
    ious = [intersection / union if union > 0 else 0 for intersection, union in outputs]
    total = sum(union for _, union in outputs)
    return len(ious), np.mean(ious), sum(i for i, _ in outputs) / total if total > 0 else 0


STATUSES = ("ok", "no_target", "unreadable", "segmenter_error")
SAMPLES = [
    (status, mask, truth)
    for status, truth in itertools.product(STATUSES, (NOTHING, LEFT, ALL))
    for mask in ((NOTHING, LEFT, ALL) if status == "ok" else (NOTHING,))
]


@pytest.mark.parametrize(
    ("protocol", "script", "n"),
    [(SEG_ZERO, first_release, 17), (VISION_REASONER, successor, 13)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_as_many_are_counted_and_as_well_as_by_the_script(protocol, script, n):
    records = [
        Record(str(i), "p.png", "q", status, overlap=overlap(mask, truth))
        for i, (status, mask, truth) in enumerate(SAMPLES)
    ]
    found = measure([count_under(record, protocol) for record in records])
    expected = calculate([each for sample in SAMPLES if (each := script(*sample)) is not None])
    assert len(SAMPLES) == 18 and expected[0] == n  # by hand: all but `ok` on nothing with nothing, …
    assert (found["gIoU"].count, found["gIoU"].value) == (n, pytest.approx(expected[1]))
    assert found["cIoU"].value == pytest.approx(expected[2])
