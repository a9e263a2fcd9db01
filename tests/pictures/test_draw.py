"""python -m pytest tests/pictures/test_draw.py"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from segzero.pictures import PALETTE, color_of, details, overlay
from segzero.pictures.draw import inner_edge
from tests.shared.fakes import result_of

GREY = (100, 100, 100)


def test_the_palette_has_no_color_twice_and_begins_again_after_its_last():
    assert len(set(PALETTE)) == len(PALETTE)
    assert color_of(0) == PALETTE[0] == color_of(len(PALETTE))


def test_a_mask_is_tinted_and_the_rest_left_alone():
    picture = Image.new("RGB", (40, 10), GREY)
    drawn = np.asarray(overlay(picture, result_of((40, 10), "left"), boxes=False, points=False, opacity=0.5))
    assert drawn.shape == (10, 40, 3)
    # #56B4E9 is (86, 180, 233); half of it and half of 100, rounded to the even neighbour, is (93, 140, 166).
    assert tuple(drawn[5, 5]) == (93, 140, 166)
    assert tuple(drawn[5, 19]) == (86, 180, 233)  # the outline: the last column inside the mask
    assert tuple(drawn[5, 20]) == GREY
    assert tuple(picture.getpixel((5, 5))) == GREY  # the picture given is not changed


def test_boxes_and_points_can_be_left_out():
    picture = Image.new("RGB", (60, 30), GREY)
    result = result_of((60, 30), "left", "right")
    plain = overlay(picture, result, boxes=False, points=False)
    assert overlay(picture, result, boxes=True, points=False) != plain
    assert overlay(picture, result, boxes=False, points=True) != plain


def test_a_name_stands_on_its_box_also_of_one_object_alone():
    picture, result = Image.new("RGB", (120, 60), GREY), result_of((120, 60), "left")
    named = replace(result, targets=[replace(result.targets[0], label="cup")])
    assert overlay(picture, named) != overlay(picture, result)
    assert overlay(picture, named, boxes=False) == overlay(picture, result, boxes=False)
    assert "1  cup  box 0, 0, 60, 60" in details(named) and "cup" not in details(result)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3000, 2), (2, 3000)])
def test_odd_sizes(size: tuple[int, int]):
    assert overlay(Image.new("RGB", size, GREY), result_of(size, "left", "right")).size == size


def test_a_huge_picture_with_ten_masks():
    size = (4000, 3000)
    result = result_of(size, *["left", "right"] * 5)
    assert overlay(Image.new("RGB", size), result).size == size


def test_nothing_found_leaves_the_picture():
    picture = Image.new("L", (7, 5), 9)
    assert np.asarray(overlay(picture, result_of((7, 5)))).tolist() == [[[9, 9, 9]] * 7] * 5


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"\(40, 10\).*\(10, 40\)"):
        overlay(Image.new("RGB", (10, 40)), result_of((40, 10), "left"))


def test_the_edge_of_a_mask_lies_inside_it_and_not_on_the_border_of_the_picture():
    mask = np.array([[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0]], bool)
    assert inner_edge(mask).astype(int).tolist() == [[0, 0, 1, 0]] * 3
    assert inner_edge(mask, 2).astype(int).tolist() == [[0, 1, 1, 0]] * 3
    assert not inner_edge(np.ones((2, 3), bool)).any()
