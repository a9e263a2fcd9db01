"""Boxes, points, masks and frames, by numbers worked out by hand.

python -m pytest tests/contract/test_geometry.py
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from segzero.contract import (
    Target,
    box_iou,
    clip_box,
    clip_point,
    inside,
    mask_to_box,
    mask_to_points,
    scale_target,
)
from segzero.contract.geometry import scale_box, scale_point

FRAME, PICTURE = (840, 840), (640, 360)


def test_scaling_keeps_width_and_height_apart():
    assert scale_point((420, 420), FRAME, PICTURE) == (320, 180)
    assert scale_box((84, 168, 420, 840), FRAME, PICTURE) == (64, 72, 320, 360)
    target = Target((64, 72, 320, 360), ((160, 180),))
    assert scale_target(target, PICTURE, FRAME) == Target((84, 168, 420, 840), ((210, 420),))


def test_scaling_rounds_as_it_is_told():
    halves = scale_box((1, 2, 3, 4), (2, 2), (1, 1), lambda value, factor: int(value * factor + 0.5))
    assert halves == (1, 1, 2, 2)


@pytest.mark.parametrize(
    ("case", "point", "expected"),
    [
        ("inside stays", (100, 200), (100, 200)),
        ("left and above", (-5, -1), (0, 0)),
        ("the far edge is past the last pixel", (640, 360), (639, 359)),
        ("far away", (1e9, 5), (639, 5)),
    ],
)
def test_clip_point(case, point, expected):
    assert clip_point(point, PICTURE) == expected, case


@pytest.mark.parametrize(
    ("case", "box", "expected"),
    [
        ("inside stays", (1, 2, 3, 4), (1, 2, 3, 4)),
        ("the whole picture", (0, 0, 640, 360), (0, 0, 640, 360)),
        ("over two edges", (-10, 100, 700, 200), (0, 100, 640, 200)),
        ("right of the picture", (640, 0, 700, 100), None),
        ("below the picture, though not beside it", (0, 400, 10, 500), None),
        ("without area", (5, 5, 5, 9), None),
    ],
)
def test_clip_box(case, box, expected):
    assert clip_box(box, PICTURE) == expected, case


@pytest.mark.parametrize(
    ("case", "a", "b", "edges", "pixels"),
    [
        ("the same box", (0, 0, 9, 4), (0, 0, 9, 4), 1.0, 1.0),
        ("half over", (0, 0, 10, 10), (5, 0, 15, 10), 50 / 150, 66 / 176),
        ("apart", (0, 0, 10, 10), (20, 20, 30, 30), 0.0, 0.0),
        ("sharing an edge: one column of pixels", (0, 0, 10, 9), (10, 0, 20, 9), 0.0, 10 / 210),
        ("one pixel", (3, 3, 3, 3), (3, 3, 3, 3), 0.0, 1.0),
        ("beside each other in one direction only", (0, 0, 4, 4), (8, 0, 9, 4), 0.0, 0.0),
    ],
)
def test_box_iou(case, a, b, edges, pixels):
    assert box_iou(a, b) == box_iou(b, a) == pytest.approx(edges), case
    assert box_iou(a, b, inclusive=True) == box_iou(b, a, inclusive=True) == pytest.approx(pixels), case


def test_inside_counts_the_edges():
    assert inside((10, 20), (10, 20, 30, 40))
    assert inside((30, 40), (10, 20, 30, 40))
    assert not inside((9, 20), (10, 20, 30, 40))
    assert not inside((10, 41), (10, 20, 30, 40))


def test_mask_to_box_is_the_inclusive_extent_of_all_parts():
    mask = np.zeros((36, 64), dtype=bool)
    mask[5:9, 40:50] = True
    mask[30, 12] = True
    assert mask_to_box(mask) == (12, 5, 49, 30)


def test_a_bar_has_its_points_along_its_middle():
    # Rows 1..3, columns 1..7: the middle row is two from the background at columns 2..6. From (2, 2) the
    # median of the 21 distances is sqrt(5), so the second point is sought from column 5 on.
    mask = np.zeros((5, 9), dtype=bool)
    mask[1:4, 1:8] = True
    assert mask_to_points(mask) == ((2, 2),)
    assert mask_to_points(mask, 2) == ((2, 2), (5, 2))


@pytest.mark.parametrize(
    ("case", "mask", "expected"),
    [
        ("one pixel is both points", np.array([[0, 0, 0, 0], [0, 0, 1, 0]]), ((2, 1), (2, 1))),
        ("two pixels", np.array([[0, 1, 1, 0]]), ((1, 0), (2, 0))),
        ("no background: the border counts as such", np.ones((3, 5)), ((1, 1), (3, 1))),
        ("a corner", np.array([[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]]), ((0, 0), (1, 1))),
    ],
)
def test_points_of_small_masks(case, mask, expected):
    assert mask_to_points(mask.astype(bool), 2) == expected, case


def test_points_agree_with_distances_measured_one_by_one():
    rng = np.random.default_rng(0)
    for _ in range(30):
        height, width = rng.integers(4, 14), rng.integers(4, 20)
        mask = rng.random((height, width)) < 0.8
        mask[rng.integers(height), rng.integers(width)] = False
        mask[height // 2, width // 2] = True
        background = np.argwhere(~mask)
        pixels = np.argwhere(mask)  # in reading order, (row, column)
        depths = [min(math.dist(pixel, other) for other in background) for pixel in pixels]
        first = pixels[int(np.argmax(depths))]
        distances = [math.dist(pixel, first) for pixel in pixels]
        far = [i for i, distance in enumerate(distances) if distance > np.median(distances)]
        second = pixels[max(far, key=lambda i: depths[i])] if far else first
        assert mask_to_points(mask, 2) == ((first[1], first[0]), (second[1], second[0]))


def test_an_empty_mask_and_another_count_are_refused():
    with pytest.raises(ValueError, match="empty mask"):
        mask_to_points(np.zeros((3, 4), dtype=bool))
    with pytest.raises(ValueError, match="one or two"):
        mask_to_points(np.ones((3, 4), dtype=bool), 3)


def test_a_target_holds_plain_floats():
    target = Target(np.array([1, 2, 3, 4]), [np.array([2, 3])])
    assert target == Target((1.0, 2.0, 3.0, 4.0), ((2.0, 3.0),))
    assert all(type(value) is float for value in (*target.box_xyxy, *target.points_xy[0]))
    assert Target((1, 2, 3, 4)).points_xy == ()


@pytest.mark.parametrize(
    ("case", "box", "points"),
    [
        ("three numbers", (1, 2, 3), ()),
        ("corners swapped", (3, 2, 1, 4), ()),
        ("not a number", (1, 2, float("nan"), 4), ()),
        ("an infinite point", (1, 2, 3, 4), ((float("inf"), 3),)),
        ("three points", (1, 2, 3, 4), ((1, 2), (1, 3), (1, 4))),
    ],
)
def test_what_is_no_target(case, box, points):
    with pytest.raises(ValueError):
        Target(box, points)
