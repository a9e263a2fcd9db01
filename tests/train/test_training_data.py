"""Training rows from each kind of source, and what is said of rows that are none.

python -m pytest -q tests/train/test_training_data.py
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from segzero.contract import SEG_ZERO_7B
from segzero.contract.presets import VISIONREASONER_7B
from segzero.data import DatasetError
from segzero.pictures import decode_rle, encode_mask
from tests.shared.small_frame import MINI, WH, box_mask
from train.data import load
from train.data.dataset import Report
from train.solution import read_solution


def corrections(folder: Path, *lines: dict | str) -> Path:
    """A folder in the local format, with a picture and a mask."""
    folder.mkdir(exist_ok=True)
    Image.new("RGB", WH, "red").save(folder / "rain.png")
    Image.fromarray(box_mask(10, 10, 20, 30).astype(np.uint8) * 255).save(folder / "mask.png")
    rows = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "data.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return folder


def line(masks: list, question: str = "What keeps me dry?", image: str = "rain.png", **more: object) -> dict:
    return {"image": image, "question": question, "masks": masks, **more}


# ------------------------------------------------------------------------------------------ your own pictures


def test_a_folder_of_your_own(tmp_path):
    rectangle = [[30, 5, 50, 5, 50, 35, 30, 35]]
    folder = corrections(
        tmp_path / "mine",
        line(["mask.png"], id="first"),
        line([encode_mask(box_mask(40, 4, 44, 6)), rectangle], question=" Both, PLEASE. "),
        line([], image="./rain.png"),
    )
    dataset, report = load(folder, MINI)
    assert (report.used, report.left_out) == (3, ())
    first, second, third = dataset
    # 168 / 60 = 2.8 across, 168 / 40 = 4.2 down; the widest place of 11 x 21 pixels begins at (15, 15)
    assert first["solution"] == '[{"bbox_2d": [28,42,56,126], "point_2d": [42,63]}]'
    assert first["id"] == "first" and second["id"] == "2"
    assert (first["img_width"], first["img_height"], first["frame_px"]) == (60, 40, 168)
    assert first["image"] == str((folder / "rain.png").resolve()) == third["image"]
    assert first["prompt"] == [{"role": "user", "content": MINI.dialect.prompt("What keeps me dry?")}]
    assert np.array_equal(decode_rle(first["masks"][0]), box_mask(10, 10, 20, 30))
    assert '"both, please"' in second["prompt"][0]["content"]
    # 2.8 * (40, 44) and 4.2 * (4, 6); the polygon covers the pixels 30 to 49 and 5 to 34
    assert [t.box_xyxy for t in read_solution(second["solution"])[1]] == [
        (112, 17, 123, 25),
        (84, 21, 137, 143),
    ]
    assert third["solution"] == "[]" and third["masks"] == []


def test_the_papers_dialect_takes_one_object_with_two_points(tmp_path):
    folder = corrections(tmp_path / "mine", line(["mask.png"]), line([]), line(["mask.png", "mask.png"]))
    dataset, report = load(folder, SEG_ZERO_7B)
    # 14 across and 21 down; of the places as deep as (15, 15), (15, 22) is the first that is far from it
    assert dataset["solution"] == ["<box>(140,210),(280,630)</box><points>(210,315),(210,462)</points>"]
    assert [row.where for row in report.left_out] == ["2", "3"]
    assert {row.reason for row in report.left_out} == {"the single dialect cannot say it"}


def test_a_picture_that_lies_on_its_side_is_measured_upright(tmp_path):
    folder = corrections(tmp_path / "mine", line([[[0, 0, 20, 0, 20, 30, 0, 30]]], image="side.jpg"))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it a quarter to the right
    Image.new("RGB", WH).save(folder / "side.jpg", exif=exif)
    (row,) = load(folder, MINI)[0]
    assert (row["img_width"], row["img_height"]) == (40, 60)
    assert decode_rle(row["masks"][0]).shape == (60, 40)
    # inclusive columns 0 to 19 of 40 and rows 0 to 29 of 60
    assert row["solution"].startswith('[{"bbox_2d": [0,0,80,81]')


BAD_LINES = [
    ("not JSON", "{", "not a line of JSON"),
    ("no text", '"\udcff"', "not a"),
    ("a list", "[]", "not a JSON object"),
    ("no question", line([], question=" . "), "a question"),
    ("too long a question", line([], question="a" * 2001), "a question"),
    ("no picture", {"question": "a", "masks": []}, "no 'image'"),
    ("no masks", {"question": "a", "image": "rain.png"}, "no 'masks'"),
    ("a lost picture", line([], image="gone.png"), "picture"),
    ("a damaged picture", line([], image="damaged.png"), "picture"),
    ("outside", line([], image="../rain.png"), "out of the folder"),
    ("an absolute name", line([], image="/etc/passwd"), "out of the folder"),
    ("a link outside", line([], image="link.png"), "out of the folder"),
    ("a mask outside", line(["../mask.png"]), "mask"),
    ("a mask of another size", line([{"size": [60, 40], "counts": [0, 2400]}]), "mask"),
    ("an empty mask", line([{"size": [40, 60], "counts": [2400]}]), "mask"),
    ("one good mask, one bad", line(["mask.png", "lost.png"]), "mask"),
    ("too small to see", line([[[5, 5, 6, 5, 6, 6, 5, 6]]]), "too small for the frame"),
]


@pytest.mark.parametrize(("bad", "reason"), [row[1:] for row in BAD_LINES], ids=[row[0] for row in BAD_LINES])
def test_lines_that_cannot_be_used_are_named(tmp_path, bad: dict | str, reason: str):
    Image.new("RGB", WH).save(tmp_path / "rain.png")
    bad = bad if isinstance(bad, str) else json.dumps(bad)
    folder = corrections(tmp_path / "mine")
    (folder / "link.png").symlink_to(tmp_path / "rain.png")
    (folder / "damaged.png").write_bytes((folder / "rain.png").read_bytes()[:60])
    rows = [json.dumps(line(["mask.png"])), bad, "", json.dumps(line(["mask.png"]))]
    (folder / "data.jsonl").write_text("\n".join(rows), encoding="utf-8", errors="surrogateescape")
    dataset, report = load(folder / "data.jsonl", MINI)
    assert dataset["id"] == ["1", "4"]
    (left_out,) = report.left_out
    assert "2" in left_out.where and reason in left_out.reason + left_out.detail
    assert "1 left out" in str(report) and left_out.reason in str(report)
    with pytest.raises(DatasetError, match="no row can be used"):
        (folder / "data.jsonl").write_text(bad, encoding="utf-8", errors="surrogateescape")
        load(folder, MINI)


def test_long_prompts_are_left_out_and_rows_counted(tmp_path):
    folder = corrections(tmp_path / "mine", *[line([], question="a" * n) for n in (5, 500, 6, 7)])
    limit = len(MINI.dialect.prompt("a" * 9))
    dataset, report = load(folder, MINI, rows=2, fits=lambda prompt: len(prompt) < limit)
    assert dataset["id"] == ["1", "3"]
    assert str(report) == (
        f"{folder}: 2 rows used, 1 left out\n  1 × the prompt is too long: 2 (a question of 500 characters)"
    )


def test_a_report_names_some_of_each_kind(tmp_path):
    lost = [line([], image=f"lost{n}.png") for n in range(7)]
    _, report = load(corrections(tmp_path / "mine", *lost, line([])), MINI)
    assert isinstance(report, Report) and len(report.left_out) == 7
    assert "7 × " in str(report) and "lost4.png" in str(report) and "lost5.png" not in str(report)


@pytest.mark.parametrize("source", ["gone.jsonl", "./gone", "/gone/data"])
def test_a_source_that_is_not_there(source: str):
    with pytest.raises(DatasetError, match="not there"):
        load(source, MINI)


# ------------------------------------------------------------------------------------------------ public sets


def picture_bytes(color: str = "blue", format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (84, 84), color).save(buffer, format)
    return buffer.getvalue()


def public_set(*rows: dict) -> datasets.Dataset:
    """Rows with the public sets' columns, their pictures stored as the Hub stores them."""
    plain = [
        {
            "id": f"row-{number}",
            "problem": "the red umbrella",
            "solution": '[{"bbox_2d": [84,0,840,420], "point_2d": [420,210]}]',
            "image": {"bytes": picture_bytes(), "path": None},
            "img_height": 480,
            "img_width": 640,
            **row,
        }
        for number, row in enumerate(rows)
    ]
    return datasets.Dataset.from_list(plain).cast_column("image", datasets.Image())


SINGLE_SOLUTION = "<box>(84,0),(840,420)</box><points>(420,210),(500,100)</points>"


def test_a_public_set_in_its_own_frame_keeps_its_solutions(tmp_path):
    odd = '[{"bbox_2d":[84,0,840,420],"point_2d":[420,210]}]'
    public_set(
        {"solution": odd},
        {"solution": "[]", "image": {"bytes": picture_bytes("red", "JPEG"), "path": None}},
        {},
    ).save_to_disk(tmp_path / "set")
    dataset, report = load(tmp_path / "set", VISIONREASONER_7B, folder=tmp_path / "runs")
    assert report.used == 3 and dataset["id"] == ["row-0", "row-1", "row-2"]
    first, second, third = dataset
    assert first["solution"] == odd and second["solution"] == "[]"
    assert (first["img_width"], first["img_height"], first["frame_px"]) == (640, 480, 840)
    assert first["masks"] is None
    assert first["image"] == third["image"] != second["image"]  # one file for one picture
    with Image.open(second["image"]) as image:
        assert image.size == (84, 84) and image.format == "JPEG"
    assert len(list((tmp_path / "runs" / "pictures").iterdir())) == 2
    again, _ = load(tmp_path / "set", VISIONREASONER_7B, folder=tmp_path / "runs")
    assert again["image"] == dataset["image"]


def test_a_public_set_for_another_frame_and_dialect(tmp_path):
    public_set({"solution": SINGLE_SOLUTION}, {}).save_to_disk(tmp_path / "set")
    dataset, _ = load(tmp_path / "set", MINI, folder=tmp_path)
    assert dataset["solution"] == ['[{"bbox_2d": [17,0,167,84], "point_2d": [84,42]}]'] * 2
    dataset, report = load(tmp_path / "set", SEG_ZERO_7B, folder=tmp_path)
    assert dataset["solution"] == [SINGLE_SOLUTION]
    assert [row.where for row in report.left_out] == ["row-1"]  # one point cannot be two


def test_rows_of_a_public_set_that_cannot_be_used(tmp_path):
    rows = [
        {"problem": ""},
        {"solution": "[1]"},
        {"solution": None},
        {"image": {"bytes": picture_bytes()[:100], "path": None}},
        {"image": {"bytes": b"no picture", "path": None}},
        {"image": None},
        {},
    ]
    datasets.DatasetDict({"train": public_set(*rows)}).save_to_disk(tmp_path / "set")
    dataset, report = load(tmp_path / "set", VISIONREASONER_7B, folder=tmp_path)
    assert dataset["id"] == ["row-6"]
    assert [row.where for row in report.left_out] == [f"row-{number}" for number in range(6)]
    assert [row.reason for row in report.left_out] == [
        "it has no question", "the solution cannot be read", "the solution cannot be read",
        "the picture cannot be read", "the picture cannot be read", "there is no picture",
    ]  # fmt: skip
    with pytest.raises(DatasetError, match="test"):
        load(tmp_path / "set", VISIONREASONER_7B, split="test", folder=tmp_path)


def test_a_path_in_a_set_is_not_followed(tmp_path):
    Image.new("RGB", (84, 84), "red").save(tmp_path / "private.png")
    named = {"image": {"bytes": None, "path": str(tmp_path / "private.png")}}
    public_set(named, {}).save_to_disk(tmp_path / "set")
    # save_to_disk reads files into the set: what a stranger writes does not
    (tmp_path / "strangers").mkdir()
    rows = public_set(named, {}).cast_column("image", datasets.Image(decode=False))
    pyarrow.parquet.write_table(rows.data.table, tmp_path / "strangers" / "train.parquet")
    dataset, report = load(tmp_path / "strangers", VISIONREASONER_7B, folder=tmp_path / "runs")
    assert dataset["id"] == ["row-1"]
    assert [(row.where, row.reason) for row in report.left_out] == [("row-0", "there is no picture")]
    assert len(list((tmp_path / "runs" / "pictures").iterdir())) == 1


@pytest.mark.parametrize("wrong", [-1, 1 << 40, 0.5, float("nan"), float("inf")])
def test_a_size_that_is_none_is_told(tmp_path, wrong: float):
    public_set({"img_width": 7.0}, {"img_width": float(wrong)}).save_to_disk(tmp_path / "set")
    dataset, report = load(tmp_path / "set", VISIONREASONER_7B, folder=tmp_path)
    assert dataset["img_width"] == [7]
    assert [row.reason for row in report.left_out] == ["img_width and img_height are no size"]


@pytest.mark.parametrize("preset", [VISIONREASONER_7B, MINI])
def test_solutions_without_bounds_are_told(tmp_path, preset):
    huge = f'[{{"bbox_2d": [1,1,{"9" * 400},5], "point_2d": [2,2]}}]'
    rows = [{"solution": each} for each in (huge, "[" * 100_000, huge.replace("9" * 400, "1e999"))]
    public_set(*rows, {}).save_to_disk(tmp_path / "set")
    dataset, report = load(tmp_path / "set", preset, folder=tmp_path)
    assert dataset["id"][-1] == "row-3"
    assert len(dataset) + len(report.left_out) == 4 and "row-1" in [row.where for row in report.left_out]


@pytest.mark.parametrize("state", ["{}", "[]", "{", "null"])
def test_a_damaged_state_is_one_line(tmp_path, state: str):
    public_set({}).save_to_disk(tmp_path / "set")
    (tmp_path / "set" / "state.json").write_text(state)
    with pytest.raises(DatasetError, match="holds no data to train on"):
        load(tmp_path / "set", MINI, folder=tmp_path)


def test_half_a_picture_of_an_earlier_time_is_made_whole(tmp_path):
    public_set({}).save_to_disk(tmp_path / "set")
    load(tmp_path / "set", VISIONREASONER_7B, folder=tmp_path)
    (saved,) = (tmp_path / "pictures").iterdir()
    saved.write_bytes(saved.read_bytes()[:50])
    load(tmp_path / "set", VISIONREASONER_7B, folder=tmp_path)
    assert saved.read_bytes() == picture_bytes()


def test_a_folder_of_parquet_files(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "set" / "data").mkdir(parents=True)
    public_set({}).to_parquet(tmp_path / "set" / "data" / "train-00000-of-00001.parquet")
    dataset, _ = load(tmp_path / "set", VISIONREASONER_7B, folder=tmp_path)
    assert dataset["id"] == ["row-0"]
    public_set({}).remove_columns("problem").to_parquet(
        tmp_path / "set" / "data" / "train-00000-of-00001.parquet"
    )
    with pytest.raises(DatasetError, match="no column problem"):
        load(tmp_path / "set", VISIONREASONER_7B, folder=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no data"):
        load(tmp_path / "empty", MINI)
