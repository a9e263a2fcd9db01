"""Masks there and back, whatever they are: python -m pytest -q tests/pictures/test_mask_properties.py"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from segzero.pictures import MaskError, decode_rle, encode_mask, read_mask

quick = settings(max_examples=60, derandomize=True, deadline=None)
sides = st.tuples(st.integers(1, 40), st.integers(1, 40))
masks = sides.flatmap(lambda side: arrays(bool, side))
# Anything JSON may hold where run lengths or polygons are expected.
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=20,
)


@quick
@given(masks)
def test_run_lengths_give_the_mask_back(mask: np.ndarray):
    assert np.array_equal(decode_rle(encode_mask(mask)), mask)


@quick
@given(masks)
def test_run_lengths_are_cocos(mask: np.ndarray):
    """pycocotools reads what is written, and what it writes is read, packed or as a list."""
    packed = coco.encode(np.asfortranarray(mask, np.uint8))
    assert np.array_equal(coco.decode(encode_mask(mask)).astype(bool), mask)
    assert np.array_equal(decode_rle({"size": list(mask.shape), "counts": packed["counts"].decode()}), mask)
    pixels = mask.T.ravel()  # down the columns
    changes = [0, *np.flatnonzero(pixels[1:] != pixels[:-1]) + 1, len(pixels)]
    runs = [0] * bool(pixels[0]) + [int(run) for run in np.diff(changes)]  # the first is of the background
    assert np.array_equal(decode_rle({"size": list(mask.shape), "counts": runs}), mask)


@quick
@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_a_rectangle_as_a_polygon_is_its_pixels(width: int, height: int, data: st.DataObject):
    x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x2, y2 = data.draw(st.integers(x1 + 1, width)), data.draw(st.integers(y1 + 1, height))
    mask = read_mask([[x1, y1, x2, y1, x2, y2, x1, y2]], Path(), (width, height))
    expected = np.zeros((height, width), bool)
    expected[y1:y2, x1:x2] = True
    assert np.array_equal(mask, expected)


@quick
@given(st.integers(30, 90), st.integers(30, 90), st.data())
def test_outlines_of_a_blob_and_back_stay_within_a_pixel_of_it(width: int, height: int, data: st.DataObject):
    """An ellipse, its outline as OpenCV finds it, drawn again: what differs lies on the edge."""
    centre = data.draw(st.integers(10, width - 11)), data.draw(st.integers(10, height - 11))
    axes = data.draw(st.integers(4, 9)), data.draw(st.integers(4, 9))
    mask = cv2.ellipse(np.zeros((height, width), np.uint8), centre, axes, 0, 0, 360, 1, -1)
    (outline,), _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    again = read_mask([outline.ravel().tolist()], Path(), (width, height)).astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))
    assert (cv2.erode(mask, cross) <= again).all() and (again <= cv2.dilate(mask, cross)).all()


@quick
@given(anything)
def test_whatever_stands_for_a_mask_gives_one_or_mask_error(entry: object):
    for given_entry in (entry, {"size": [4, 6], "counts": entry}, [entry], [[entry] * 6]):
        try:
            mask = read_mask(given_entry, Path("/nowhere"), (6, 4))
        except MaskError as error:
            assert str(error)
        else:
            assert mask.shape == (4, 6) and mask.dtype == bool and mask.any()


@quick
@given(st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=60))
def test_whatever_packs_run_lengths_gives_a_mask_or_mask_error(counts: str):
    try:
        assert decode_rle({"size": [4, 6], "counts": counts}).shape == (4, 6)
    except MaskError as error:
        assert str(error)
