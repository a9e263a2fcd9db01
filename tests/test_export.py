"""python -m pytest tests/test_export.py"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from fakes import result_of, unreadable
from PIL import Image

from segzero.draw import overlay
from segzero.export import cutout, decode_mask, encode_mask, from_json, mask_image, save_masks, to_json

MASK = np.array([[0, 1, 1], [0, 0, 1]], bool)


def test_the_record_says_everything():
    record = to_json(result_of((4, 2), "left", question="Which side is left?"))
    assert record == {
        "version": 1,
        "preset": "mini",
        "question": "Which side is left?",
        "image": {"width": 4, "height": 2},
        "status": "ok",
        "problem": "",
        "thinking": record["thinking"],
        "raw": f"<think>{record['thinking']}</think><answer>[]</answer>",
        "tokens": 64,
        "seconds": {"total": 0.5},
        "targets": [
            {
                "box_xyxy": [0.0, 0.0, 2.0, 2.0],
                "points_xy": [[1.0, 1.0]],
                "clicks": [],
                "score": pytest.approx(0.9),
                "mask": {"size": [2, 4], "counts": "044"},
            }
        ],
    }


@pytest.mark.parametrize("sides", [(), ("left",), ("left", "right")])
def test_a_result_comes_back_from_its_text_and_is_drawn_alike(sides: tuple[str, ...]):
    size = (37, 21)
    result = result_of(size, *sides)
    back = from_json(json.loads(json.dumps(to_json(result))))
    assert to_json(back) == to_json(result)
    assert back.masks.shape == (len(sides), 21, 37) and back.masks.dtype == bool
    assert np.array_equal(back.masks, result.masks) and np.array_equal(back.scores, result.scores)
    picture = Image.effect_noise(size, 50).convert("RGB")
    assert overlay(picture, back) == overlay(picture, result)


def test_an_unreadable_answer_keeps_its_words():
    result = unreadable(result_of((4, 2)))
    back = from_json(json.loads(json.dumps(to_json(result))))
    assert (back.status, back.raw, back.problem) == ("unreadable", result.raw, result.problem)


def test_corrections_and_the_picture_come_back():
    picture = Image.new("RGB", (4, 2))
    result = replace(
        result_of((4, 2), "left", "right"), clicks={1: (((3.0, 1.0), True), ((0.0, 0.0), False))}
    )
    back = from_json(json.loads(json.dumps(to_json(result))), picture)
    assert back.clicks == result.clicks and back.picture is picture
    with pytest.raises(ValueError, match=r"\(4, 2\).*\(2, 4\)"):
        from_json(to_json(result), Image.new("RGB", (2, 4)))


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {},
        {"version": 2},
        {"version": 1},
        to_json(result_of((4, 2), "left")) | {"image": {"width": 2, "height": 4}},
        to_json(result_of((4, 2), "left")) | {"targets": [{"box_xyxy": [0, 0, 1, 1]}]},
        to_json(result_of((4, 2), "left")) | {"targets": 3},
    ],
)
def test_what_is_no_result_is_refused_in_one_line(record: object):
    with pytest.raises(ValueError, match="^Not a Seg-Zero result: [^\n]*$"):
        from_json(record)


@pytest.mark.parametrize("mask", [MASK, MASK.T, ~MASK, np.zeros((3, 5), bool), np.ones((1, 1), bool)])
def test_a_mask_comes_back_from_its_run_lengths(mask: np.ndarray):
    assert np.array_equal(decode_mask(encode_mask(mask)), mask)


def test_a_mask_as_a_picture_and_a_cutout():
    assert np.asarray(mask_image(MASK)).tolist() == [[0, 255, 255], [0, 0, 255]]
    cut = cutout(Image.new("RGB", (3, 2), (10, 20, 30)), MASK)
    assert cut.mode == "RGBA"
    assert cut.getpixel((0, 0)) == (10, 20, 30, 0) and cut.getpixel((2, 1)) == (10, 20, 30, 255)


def test_masks_are_saved_one_by_one_and_together(tmp_path):
    paths = save_masks(result_of((4, 2), "left", "right"), tmp_path / "new")
    assert [path.name for path in paths] == ["mask-1.png", "mask-2.png", "mask-all.png"]
    first, second, union = (np.asarray(Image.open(path)) for path in paths)
    assert first.tolist() == [[255, 255, 0, 0]] * 2 and second.tolist() == [[0, 0, 255, 255]] * 2
    assert union.tolist() == [[255] * 4] * 2


def test_no_object_makes_an_empty_union(tmp_path):
    (path,) = save_masks(result_of((4, 2)), tmp_path)
    assert np.asarray(Image.open(path)).tolist() == [[0] * 4] * 2
