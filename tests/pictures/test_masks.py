"""Masks as training data brings them: PNG, run lengths, polygons, and what is wrong with some.

python -m pytest -q tests/pictures/test_masks.py
"""

from __future__ import annotations

import os
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from segzero.pictures import MaskError, decode_rle, encode_mask, read_mask

WH = (6, 4)  # width, height


def block() -> np.ndarray:
    """(4, 6) bool: columns 2 to 4 of rows 1 and 2."""
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:5] = True
    return mask


def save(path, mode: str) -> str:
    """The block as a PNG of some mode, its name."""
    grey = Image.fromarray(block().astype(np.uint8) * 255)
    if mode == "P":
        image = Image.fromarray(block().astype(np.uint8))  # index 1, in a palette that is black there
        image.putpalette([0, 0, 0] * 256)
    elif mode == "small":
        image = Image.fromarray(block().astype(np.uint8))  # 0 and 1
    elif mode == "I;16":
        image = Image.fromarray(block().astype(np.uint16) * 300)
    elif mode == "RGBA":  # white where there is nothing to see
        image = Image.new("RGBA", WH, "white")
        image.putalpha(grey)
    else:
        image = grey.convert(mode)
    image.save(path / "mask.png")
    return "mask.png"


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "small", "I;16", "RGBA"])
def test_a_png(tmp_path, mode: str):
    assert np.array_equal(read_mask(save(tmp_path, mode), tmp_path, WH), block())


def test_run_lengths_count_down_the_columns(tmp_path):
    runs = {"size": [4, 6], "counts": [9, 2, 2, 2, 2, 2, 5]}
    assert np.array_equal(read_mask(runs, tmp_path, WH), block())
    assert np.array_equal(read_mask(encode_mask(block()), tmp_path, WH), block())


def test_packed_run_lengths_of_any_mask():
    rng = np.random.default_rng(0)
    for height, width, share in ((1, 1, 1.0), (37, 53, 0.5), (300, 200, 0.001), (200, 300, 0.999)):
        mask = rng.random((height, width)) < share
        assert np.array_equal(decode_rle(encode_mask(mask)), mask)


def test_polygons(tmp_path):
    rectangle = [2, 1, 5, 1, 5, 3, 2, 3]
    assert np.array_equal(read_mask([rectangle], tmp_path, WH), block())
    corner = [0, 0, 1, 0, 1.0, 1, 0, 1]
    both = read_mask([rectangle, corner], tmp_path, WH)
    assert both[0, 0] and both.sum() == 7


BAD = [
    ("nothing there", "gone.png", "no file gone.png"),
    ("outside", "../mask.png", "out of the folder"),
    ("elsewhere", "/etc/mask.png", "out of the folder"),
    ("a zero byte", "a\0.png", "no file name"),
    ("a folder", "", "cannot be read"),
    ("empty polygons", [], "without a polygon"),
    ("pairs", [[[1, 2], [3, 4], [5, 6]]], "at least three"),
    ("one flat list", [1, 2, 3, 4, 5, 6], "at least three"),
    ("two corners", [[1, 2, 3, 4]], "at least three"),
    ("seven numbers", [[1, 2, 3, 4, 5, 6, 7]], "at least three"),
    ("true", [[1, 2, 3, 4, 5, True]], "no number"),
    ("far away", [[1, 1, 1e9, 1, 3, 3]], "far outside"),
    ("infinitely far", [[1, 1, float("inf"), 1, 3, 3]], "no number"),
    ("too thin for a pixel", [[1, 1, 1, 1, 1, 1]], "without a pixel"),
    ("turned over", {"size": [6, 4], "counts": [24]}, "size is not the"),
    ("no size", {"counts": [24]}, "size is not the"),
    ("no counts", {"size": [4, 6]}, "not numbers"),
    ("all background", {"size": [4, 6], "counts": [24]}, "without a pixel"),
    ("too short", {"size": [4, 6], "counts": [9, 2]}, "11 pixels in all, the size has 24"),
    ("too long", {"size": [4, 6], "counts": [0, 25]}, "25 pixels"),
    ("negative", {"size": [4, 6], "counts": [-1, 25]}, "not numbers"),
    ("text in a list", {"size": [4, 6], "counts": ["24"]}, "not numbers"),
    ("no text", {"size": [4, 6], "counts": ""}, "0 pixels"),
    ("foreign letters", {"size": [4, 6], "counts": "é~"}, "not COCO's"),
    ("cut off", {"size": [4, 6], "counts": "P"}, "cut off"),
    ("without end", {"size": [4, 6], "counts": "P" * 99}, "not COCO's"),
    ("sides of 10^9", {"size": [10**9, 10**9], "counts": [10**18]}, "size is not the"),
    ("a run of 400 digits", {"size": [4, 6], "counts": [10**400, 1]}, "far more pixels"),
    ("a list in counts", {"size": [4, 6], "counts": [[24]]}, "not numbers"),
    ("a bitmap as text", {"size": [4, 6], "counts": "0" * 10**6}, "more numbers than the picture has pixels"),
    ("a corner of 400 digits", [[1, 1, 10**400, 1, 3, 3]], "far outside"),
    ("an outline without end", [[-6, 0, 12, 0] * 300_000], "outline of more than 4,000,000 pixels"),
    ("polygons without end", [[1, 1, 3, 1, 3, 3]] * 2001, "2,001 polygons"),
    ("a number", 7, "file's name, run lengths or polygons"),
    ("null", None, "file's name, run lengths or polygons"),
]


@pytest.mark.parametrize(("entry", "reason"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_is_wrong_is_said(tmp_path, entry, reason: str):
    with pytest.raises(MaskError, match=reason):
        read_mask(entry, tmp_path, WH)


def test_pictures_that_are_no_mask(tmp_path):
    Image.new("L", (4, 6), 255).save(tmp_path / "turned.png")
    Image.new("L", WH, 255).save(tmp_path / "photo.jpg")
    Image.new("L", WH, 0).save(tmp_path / "black.png")
    for name, reason in (("turned.png", "pixels"), ("photo.jpg", "as PNG"), ("black.png", "without a pixel")):
        with pytest.raises(MaskError, match=reason):
            read_mask(name, tmp_path, WH)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(MaskError, match="not an ordinary file"):
        read_mask("pipe.png", tmp_path, WH)


@pytest.mark.parametrize("size", [[10**9, 10**9], [10**5, 10**5], [4.0, 6], [0, 6], "46", None, [4, 6, 1]])
def test_run_lengths_of_no_sensible_size_take_no_memory(size):
    with pytest.raises(MaskError, match="size|megapixels"):
        decode_rle({"size": size, "counts": [24]})


def test_a_palette_that_is_black_elsewhere_than_at_0_is_read_by_its_colours(tmp_path):
    image = Image.fromarray((~block()).astype(np.uint8))
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(tmp_path / "mask.png")
    assert np.array_equal(read_mask("mask.png", tmp_path, WH), block())


def test_a_palette_that_is_coloured_at_0_as_well_is_read_by_its_numbers(tmp_path):
    image = Image.fromarray(block().astype(np.uint8))
    image.putpalette([200, 10, 10, 0, 255, 0] + [0, 0, 0] * 254)  # black where no pixel is
    image.save(tmp_path / "mask.png")
    assert np.array_equal(read_mask("mask.png", tmp_path, WH), block())


def test_a_cut_out_of_something_black(tmp_path):
    image = Image.new("RGBA", WH)
    image.putalpha(Image.fromarray(block().astype(np.uint8) * 255))
    image.save(tmp_path / "mask.png")
    assert np.array_equal(read_mask("mask.png", tmp_path, WH), block())


def test_a_link_that_leads_outside(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    name = save(tmp_path, "L")
    (inner / "link.png").symlink_to(tmp_path / name)
    with pytest.raises(MaskError, match="out of the folder"):
        read_mask("link.png", inner, WH)


def test_damaged_files_raise_nothing_else(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60), np.uint8)).save(
        tmp_path / "whole.png"
    )
    data = (tmp_path / "whole.png").read_bytes()
    rng = np.random.default_rng(1)
    for number in range(80):
        broken = bytearray(data[: rng.integers(1, len(data))] if number % 2 else data)
        for _ in range(number % 5):
            broken[rng.integers(len(broken))] = rng.integers(256)
        (tmp_path / "broken.png").write_bytes(broken)
        with suppress(MaskError):
            assert read_mask("broken.png", tmp_path, (60, 40)).shape == (40, 60)
