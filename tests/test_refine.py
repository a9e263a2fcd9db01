"""Refining a mask with clicks and boxes: what changes, what stays, what is refused.

python -m pytest tests/test_refine.py
"""

from __future__ import annotations

import numpy as np
import pytest

from segzero.contract import Target
from segzero.segmenter import Segmenter
from tests.shared.scripted import TARGET_TWO, Boxes, picture, pipeline


def test_refine_with_points_adds_up_and_leaves_the_first_result_alone():
    asked = pipeline()
    first = asked.run(picture(), "What?")
    second = asked.refine(first, 1, add=[(150, 10)])
    third = asked.refine(second, 1, remove=[(199.5, 60)])
    assert asked.segmenter.clicks[-2:] == [
        [[((150, 10), True)]],
        [[((150, 10), True), ((199, 49), False)]],
    ]
    assert third.clicks == {1: (((150, 10), True), ((199, 49), False))} and first.clicks == {}
    assert third.targets == first.targets and third.raw == first.raw
    assert third.seconds["refine"] >= 0 and "refine" not in first.seconds
    assert len(asked.reasoner.asked) == 1 and len(asked.segmenter.embedded) == 1


def test_a_picture_is_encoded_once_for_all_its_masks_and_refinements():
    """With the real Segmenter around a backend that counts."""

    class Backend:
        low_res_px = 8
        encoded, decoded = 0, []

        def encode(self, rgb):
            self.encoded += 1
            return rgb.shape[:2]

        def decode(self, state, boxes, points, labels):
            self.decoded.append((boxes.tolist(), points.tolist(), labels.tolist()))
            n = len(boxes)
            return np.ones((n, *state), bool), np.ones(n, np.float32), np.zeros((n, 8, 8), np.float32)

    backend = Backend()
    asked = pipeline(segmenter=Segmenter(backend))
    result = asked.run(picture(), "What?")
    asked.refine(result, 0, add=[(50, 25)], remove=[(5, 5)])
    assert backend.encoded == 1 and len(backend.decoded) == 3
    assert backend.decoded[0] == ([[20, 10, 60, 30]], [[[40, 20]]], [[1]])
    assert backend.decoded[2] == ([[20, 10, 60, 30]], [[[40, 20], [50, 25], [5, 5]]], [[1, 1, 0]])


def test_refine_with_a_box():
    asked = pipeline()
    first = asked.run(picture(), "What?")
    second = asked.refine(first, 0, box=(60, 30, -5, 10))
    assert second.targets[0] == Target((0, 10, 60, 30), ((40, 20),)) and second.targets[1] == TARGET_TWO
    assert second.masks[0].sum() == 60 * 20 and first.masks[0].sum() == 40 * 20
    assert (second.masks[1] == first.masks[1]).all()


def test_a_box_drawn_elsewhere_leaves_the_points_of_the_old_one_behind():
    asked = pipeline()
    first = asked.refine(asked.run(picture(), "What?"), 0, add=[(50, 25)], remove=[(5, 5)])
    second = asked.refine(first, 0, box=(45, 0, 90, 40))
    assert second.targets[0] == Target((45, 0, 90, 40))  # (40, 20) lies outside
    assert second.clicks == {0: (((50, 25), True), ((5, 5), False))}
    third = asked.refine(second, 0, box=(100, 0, 190, 40))
    assert third.clicks == {0: (((5, 5), False),)}


def test_refine_refuses_what_makes_no_sense():
    asked = pipeline()
    result = asked.run(picture(), "What?")
    for index in (-1, 2):
        with pytest.raises(ValueError, match="no target"):
            asked.refine(result, index, add=[(1, 1)])
    with pytest.raises(ValueError, match="no area"):
        asked.refine(result, 0, box=(300, 0, 400, 50))
    read_back = type(result)(**{**vars(result), "picture": None})
    with pytest.raises(ValueError, match="picture"):
        asked.refine(read_back, 0, add=[(1, 1)])


def test_what_is_considered_for_a_target_is_asked_with_its_clicks():
    class Considering(Boxes):
        def candidates(self, image, target, clicks=()):
            return target, clicks

    asked = pipeline(segmenter=Considering())
    result = asked.refine(asked.run(picture(), "What?"), 1, add=[(150, 10)])
    assert asked.candidates(result, 1) == (TARGET_TWO, (((150, 10), True),))
    with pytest.raises(ValueError, match="no target"):
        asked.candidates(result, 2)
