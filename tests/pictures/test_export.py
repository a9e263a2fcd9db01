"""python -m pytest tests/pictures/test_export.py"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from segzero.pictures import decode_rle, encode_mask, from_json, mask_image, overlay, save_zip, to_json
from segzero.pictures.export import cutout
from tests.shared.fakes import result_of, unreadable

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
                "label": "",
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


def test_names_come_back_and_older_records_have_none():
    result = result_of((37, 21), "left", "right")
    named = [replace(target, label=name) for target, name in zip(result.targets, ("a", "ü"), strict=True)]
    record = json.loads(json.dumps(to_json(replace(result, targets=named))))
    assert from_json(record).labels == ["a", "ü"]
    for target in record["targets"]:
        del target["label"]
    assert from_json(record).labels == ["", ""]
    record["targets"][0]["label"] = 7
    with pytest.raises(ValueError, match="7 is no text"):
        from_json(record)


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
        to_json(result_of((4, 2))) | {"raw": 3},
        to_json(result_of((4, 2))) | {"seconds": [1]},
        to_json(result_of((4, 2))) | {"image": {"width": 10**6, "height": 10**6}},
        to_json(result_of((4, 2))) | {"image": {"width": True, "height": 2}},
    ],
)
def test_what_is_no_result_is_refused_in_one_line(record: object):
    with pytest.raises(ValueError, match="^Not a Seg-Zero result: [^\n]*$"):
        from_json(record)


@pytest.mark.parametrize("mask", [MASK, MASK.T, ~MASK, np.zeros((3, 5), bool), np.ones((1, 1), bool)])
def test_a_mask_comes_back_from_its_run_lengths(mask: np.ndarray):
    assert np.array_equal(decode_rle(encode_mask(mask)), mask)


def test_a_mask_as_a_picture_and_a_cutout():
    assert np.asarray(mask_image(MASK)).tolist() == [[0, 255, 255], [0, 0, 255]]
    cut = cutout(Image.new("RGB", (3, 2), (10, 20, 30)), MASK)
    assert cut.mode == "RGBA"
    assert cut.getpixel((0, 0)) == (0, 0, 0, 0) and cut.getpixel((2, 1)) == (10, 20, 30, 255)


@pytest.mark.parametrize("counts", ["04", "044444", "", "0", 7, [0, 4], None])
def test_run_lengths_that_do_not_fill_the_picture_are_refused(counts: object):
    record = to_json(result_of((4, 2), "left"))
    assert record["targets"][0]["mask"]["counts"] == "044"
    record["targets"][0]["mask"]["counts"] = counts
    with pytest.raises(ValueError, match="^Not a Seg-Zero result: run lengths"):
        from_json(record)


def unzipped(result) -> dict[str, bytes]:
    buffer = io.BytesIO()
    save_zip(result, buffer)
    with zipfile.ZipFile(buffer) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def pixels(png: bytes) -> list:
    return np.asarray(Image.open(io.BytesIO(png))).tolist()


def test_the_zip_holds_everything_at_full_size():
    picture = Image.new("RGB", (4, 2), (10, 20, 30))
    files = unzipped(replace(result_of((4, 2), "left", "right"), picture=picture))
    assert list(files) == ["result.json", "picture.png", "overlay.jpg"] + [
        f"{kind}-{name}.png" for name in ("1", "2", "all") for kind in ("mask", "cutout")
    ]
    assert pixels(files["mask-1.png"]) == [[255, 255, 0, 0]] * 2
    assert pixels(files["mask-2.png"]) == [[0, 0, 255, 255]] * 2
    assert pixels(files["mask-all.png"]) == [[255] * 4] * 2
    assert pixels(files["cutout-2.png"]) == [[[0, 0, 0, 0]] * 2 + [[10, 20, 30, 255]] * 2] * 2
    assert pixels(files["picture.png"]) == [[[10, 20, 30]] * 4] * 2
    assert Image.open(io.BytesIO(files["overlay.jpg"])).size == (4, 2)


def test_what_the_zip_holds_is_drawn_again_alike():
    picture = Image.effect_noise((37, 21), 50).convert("RGB")
    result = replace(result_of((37, 21), "left"), picture=picture)
    files = unzipped(result)
    back = from_json(json.loads(files["result.json"]), Image.open(io.BytesIO(files["picture.png"])))
    assert to_json(back) == to_json(result)
    assert overlay(back.picture, back) == overlay(picture, result)


def test_the_zip_of_no_object_has_an_empty_mask():
    files = unzipped(replace(result_of((4, 2)), picture=Image.new("RGB", (4, 2))))
    assert list(files)[3:] == ["mask-all.png", "cutout-all.png"]
    assert pixels(files["mask-all.png"]) == [[0] * 4] * 2


def test_there_is_no_zip_without_the_picture():
    with pytest.raises(ValueError, match="without its picture"):
        save_zip(result_of((4, 2)), io.BytesIO())
