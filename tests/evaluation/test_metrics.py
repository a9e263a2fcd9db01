"""Every metric against numbers worked out by hand: python -m pytest tests/evaluation/test_metrics.py"""

from __future__ import annotations

import math

import numpy as np
import pytest

from segzero.evaluation import Estimate, Overlap, measure, overlap
from segzero.evaluation.metrics import Counted, compare, hull_iou


def mask(*rows: str) -> np.ndarray:
    """(H, W) bool, # where it is set."""
    return np.array([[char == "#" for char in row] for row in rows])


NOTHING, ALL = mask("....", "...."), mask("####", "####")
ONE, TWO, SECOND = mask("#...", "...."), mask("##..", "...."), mask(".#..", "....")


@pytest.mark.parametrize(
    ("case", "predicted", "truth", "ignore", "expected"),
    [
        ("one of three", mask("##..", "...."), mask(".##.", "...."), None, Overlap(1, 3, 2, 2)),
        ("the same", mask("#...", "##.."), mask("#...", "##.."), None, Overlap(3, 3, 3, 3)),
        ("both empty", NOTHING, NOTHING, None, Overlap(0, 0, 0, 0)),
        ("nothing predicted", NOTHING, mask("###.", "...."), None, Overlap(0, 3, 0, 3)),
        ("nothing true", mask("###.", "...."), NOTHING, None, Overlap(0, 3, 3, 0)),
        ("a false pixel ignored", TWO, ONE, SECOND, Overlap(1, 1, 1, 1)),
        ("a true pixel ignored", ONE, TWO, SECOND, Overlap(1, 1, 1, 1)),
        ("all is ignored", TWO, ONE, ALL, Overlap(0, 0, 0, 0)),
        ("nothing is ignored", TWO, ONE, NOTHING, Overlap(1, 2, 2, 1)),
    ],
)  # fmt: skip
def test_overlap(case, predicted, truth, ignore, expected):
    assert overlap(predicted, truth, ignore) == expected, case


@pytest.mark.parametrize(
    ("predicted", "truth", "ignore", "word"),
    [
        (np.zeros((2, 4), bool), np.zeros((4, 2), bool), None, r"\(2, 4\), \(4, 2\)"),
        (np.zeros((2, 4), bool), np.zeros((2, 4), bool), np.zeros((2, 3), bool), "different shapes"),
        (np.zeros((1, 2, 4), bool), np.zeros((2, 4), bool), None, "shape"),
        (np.zeros((2, 4), np.uint8), np.zeros((2, 4), bool), None, "uint8"),
    ],
)
def test_masks_that_do_not_fit_are_refused(predicted, truth, ignore, word):
    with pytest.raises(ValueError, match=word):
        overlap(predicted, truth, ignore)


@pytest.mark.parametrize(
    ("predicted", "truth", "expected"),
    [
        ([(0, 0, 4, 2)], [(0, 0, 4, 2)], 1.0),
        ([(0, 0, 4, 2)], [(2, 0, 6, 2)], 1 / 3),
        ([(0, 0, 1, 2), (3, 0, 4, 2)], [(0, 0, 4, 2)], 1.0),  # two boxes, and one around both
        ([], [(0, 0, 4, 2)], 0.0),
        ([(0, 0, 4, 2)], [], 0.0),
        ([], [], 1.0),
    ],
)
def test_boxes_around_everything(predicted, truth, expected):
    assert hull_iou(predicted, truth) == pytest.approx(expected)


HIT = Counted(iou=0.75, intersection=3, union=4, box_iou=0.5)
POOR = Counted(iou=0.25, intersection=25, union=100, box_iou=0.49)
MISS = Counted(iou=0.0, intersection=0, union=4, found=False, says_none=True, box_iou=0.0)
HONEST = Counted(iou=1.0, intersection=0, union=0, has_target=False, found=False, says_none=True)
INVENTED = Counted(iou=0.0, intersection=0, union=10, has_target=False)
FAILED_NONE = Counted(iou=0.0, intersection=0, union=0, has_target=False, found=False)


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("gIoU", (0.75 + 0.25 + 0 + 1 + 0 + 0) / 6, 6),
        ("cIoU", 28 / 118, 4),  # 3 + 25 of 4 + 100 + 4 + 10; where nothing is, nothing is added
        ("P@0.5", 1 / 3, 3),  # of the three with a target
        ("P@0.7", 1 / 3, 3),
        ("P@0.8", 0.0, 3),
        ("box@0.5", 1 / 3, 3),
        ("T-acc", 2 / 3, 3),
        ("N-acc", 1 / 3, 3),
    ],
)
def test_metrics_of_six_samples(name: str, value: float, count: int):
    found = measure([HIT, POOR, MISS, HONEST, INVENTED, FAILED_NONE])[name]
    assert (found.value, found.count) == (pytest.approx(value), count)
    assert found.low <= found.value <= found.high


def test_a_threshold_is_reached_by_its_own_value():
    assert measure([Counted(iou=0.5, intersection=1, union=2)])["P@0.5"].value == 1.0


def test_a_dropped_sample_counts_nowhere():
    assert measure([HIT, None])["gIoU"] == Estimate(0.75, 0.75, 0.75, 1)
    assert measure([HIT, None, POOR])["cIoU"].value == 28 / 104


@pytest.mark.parametrize("samples", [[], [None]])
def test_no_samples_have_no_metric(samples):
    found = measure(samples)["gIoU"]
    assert found.count == 0 and math.isnan(found.value) and math.isnan(found.low) and math.isnan(found.high)


def test_what_was_not_asked_has_no_number():
    assert math.isnan(measure([HIT])["N-acc"].value) and measure([HIT])["N-acc"].count == 0


def test_an_interval_is_what_the_binomial_says():
    samples = [Counted(iou=float(i % 2), intersection=0, union=1) for i in range(400)]
    found = measure(samples)["gIoU"]
    assert found.value == 0.5
    assert found.low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.005)
    assert found.high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.005)


def test_questions_about_one_picture_are_drawn_together():
    samples = [Counted(iou=float(i // 10 % 2), intersection=0, union=1) for i in range(400)]
    alone = measure(samples)["gIoU"]
    together = measure(samples, pictures=[str(i // 10) for i in range(400)])["gIoU"]
    assert together.value == alone.value
    assert together.high - together.low == pytest.approx((alone.high - alone.low) * 10**0.5, rel=0.15)


def test_the_same_seed_gives_the_same_interval():
    samples = [HIT, POOR, MISS]
    assert measure(samples, seed=1)["gIoU"] == measure(samples, seed=1)["gIoU"]


def test_a_paired_difference_sees_what_two_intervals_do_not():
    rng = np.random.default_rng(0)
    before = [Counted(iou=float(v), intersection=0, union=1) for v in rng.random(50) * 0.9]
    after = [Counted(iou=sample.iou + 0.05, intersection=0, union=1) for sample in before]
    found = compare(before, after)["gIoU"]
    assert (found.value, found.low, found.high) == pytest.approx((0.05, 0.05, 0.05))
    assert measure(after)["gIoU"].low < measure(before)["gIoU"].value  # unpaired they overlap


def test_a_paired_difference_of_sums():
    assert compare([HIT, POOR], [HIT, MISS])["cIoU"].value == pytest.approx(3 / 8 - 28 / 104)
    assert compare([HIT, None], [None, POOR])["gIoU"] == Estimate(
        -0.5, pytest.approx(-0.5), pytest.approx(-0.5), 2
    )


def test_unlike_numbers_of_samples_are_no_pairs():
    with pytest.raises(ValueError, match="2 and 1"):
        compare([HIT, HIT], [HIT])
