"""The local format of data, read and written: python -m pytest tests/data/test_dataset.py"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segzero.data import (
    DatasetError,
    Item,
    LeftOut,
    find_data_file,
    leave_out,
    load_sample,
    read_rows,
    read_samples,
    write_dataset,
)
from segzero.pictures import LockedError

WH = (6, 4)


def block(x1: int = 2, x2: int = 5) -> np.ndarray:
    """(4, 6) bool: rows 1 and 2 of columns x1 to x2, the last left out."""
    mask = np.zeros((4, 6), bool)
    mask[1:3, x1:x2] = True
    return mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    Image.new("RGB", WH, "red").save(tmp_path / "images" / "a.png")
    (tmp_path / "images" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n not a picture")
    Image.fromarray(block().astype(np.uint8) * 255).save(tmp_path / "mask.png")
    Image.new("L", (4, 6), 255).save(tmp_path / "turned.png")
    return tmp_path


def write(folder: Path, *rows: object) -> Path:
    path = folder / "data.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


ROW = {"image": "images/a.png", "question": " what is red? ", "masks": ["mask.png"]}


def test_a_row_and_its_files(folder: Path):
    polygon = [[0, 0, 2, 0, 2, 4, 0, 4]]
    path = write(
        folder, {**ROW, "id": "x", "kind": "colour", "ignore": polygon, "text": 1, "expression": 2, "more": 3}
    )
    (sample,), refused = read_samples(path)
    assert refused == []
    assert (sample.id, sample.question, sample.kind, sample.text, sample.expression) == (
        "x", "what is red?", "colour", 1, 2,
    )  # fmt: skip
    loaded = load_sample(sample)
    assert loaded.picture.size == WH
    assert (loaded.masks == [block()]).all() and (loaded.truth == block()).all()
    assert loaded.ignore.tolist() == [[True] * 2 + [False] * 4] * 4


def test_no_masks_mean_that_nothing_matches(folder: Path):
    (sample,), _ = read_samples(write(folder, {**ROW, "masks": []}))
    loaded = load_sample(sample)
    assert loaded.masks.shape == (0, 4, 6) and not loaded.truth.any() and loaded.ignore is None
    assert (sample.id, sample.text, sample.expression) == ("1", 0, 0)


@pytest.mark.parametrize(
    ("row", "where", "reason"),
    [
        ("no json", "line 2", "not a line of JSON"),
        ("[1]", "line 2", "not a JSON object"),
        ({"image": "a", "masks": []}, "line 2", "no 'question'"),
        ({"question": "a", "masks": []}, "line 2", "no 'image'"),
        ({"question": "a", "image": "a"}, "line 2", "no 'masks'"),
        ({**ROW, "question": " "}, "line 2", "a question that cannot be asked"),
        ({**ROW, "masks": "mask.png"}, "line 2", "'masks' is not a list"),
        ({**ROW, "image": 1}, "line 2", "'image' is not"),
        ({**ROW, "id": True}, "line 2", "'id' is neither"),
        ({**ROW, "kind": 1}, "line 2", "'kind'"),
        ({**ROW, "text": -1}, "line 2", "'text' and"),
        ({**ROW, "kind": "\ud83d"}, "line 2", "half a character"),
        ({**ROW, "id": 1}, "line 2, id 1", "a duplicate id"),
    ],
)
def test_a_row_that_is_none_is_named(folder: Path, row: object, where: str, reason: str):
    samples, refused = read_samples(write(folder, {**ROW, "id": "1"}, row))
    assert [sample.id for sample in samples] == ["1"]
    assert [each.where for each in refused] == [where] and refused[0].reason.startswith(reason)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image": "images/none.png"}, "a picture that cannot be used"),
        ({"image": "images/broken.png"}, "a picture that cannot be used"),
        ({"image": "../../etc/passwd"}, "'../../etc/passwd' leads out of the folder"),
        ({"masks": ["turned.png"]}, "a mask that cannot be used"),
        ({"masks": [{"size": [6, 4], "counts": [0, 24]}]}, "a mask that cannot be used"),
        ({"ignore": "none.png"}, "a mask that cannot be used"),
    ],
)
def test_files_that_cannot_be_used(folder: Path, change: dict, reason: str):
    (sample,), _ = read_samples(write(folder, {**ROW, **change}))
    with pytest.raises(ValueError) as caught:
        load_sample(sample)
    found = leave_out(sample.id, caught.value)
    assert (found.where, found.reason) == ("1", reason)
    assert "\n" not in found.detail


def test_what_is_no_data_at_all(tmp_path: Path):
    with pytest.raises(DatasetError, match="is not there"):
        read_samples(tmp_path / "none.jsonl")
    with pytest.raises(DatasetError, match=r"no data\.jsonl"):
        read_samples(tmp_path)
    (tmp_path / "only.jsonl").write_text("")
    assert find_data_file(tmp_path).name == "only.jsonl"


def item(name: str = "1", **change) -> Item:
    given = dict(
        picture=Image.new("RGB", WH, "red"), picture_key="a", masks=[block()], question="what is red?"
    )
    return Item(id=name, **{**given, **change})


def test_what_is_written_can_be_read(tmp_path: Path):
    items = [
        item("1", kind="colour", ignore=block(0, 2)),
        item("2", masks=[], text=1),
        item("3", masks=[block(0, 1), block(2, 3)], expression=2),
    ]
    summary = write_dataset(tmp_path / "data", items)
    assert (
        summary.report() == f"3 questions about 1 picture: {tmp_path}/data/data.jsonl\nnothing was left out"
    )
    samples, refused = read_samples(tmp_path / "data")
    assert refused == [] and [sample.id for sample in samples] == ["1", "2", "3"]
    assert [len(load_sample(sample).masks) for sample in samples] == [1, 0, 2]
    assert (load_sample(samples[0]).truth == block()).all() and (
        load_sample(samples[0]).ignore == block(0, 2)
    ).all()
    assert [(s.kind, s.text, s.expression) for s in samples] == [("colour", 0, 0), ("", 1, 0), ("", 0, 2)]
    assert not (tmp_path / "data" / "left_out.jsonl").exists()


def test_what_is_left_out_is_counted_and_told(tmp_path: Path):
    items = [
        item("1"),
        item("1"),
        item("2", masks=[np.zeros((6, 4), bool)]),
        item("3", question=""),
        item("4", picture=b"no picture", picture_key="b"),
        item("5", picture=b"no picture", picture_key="b"),
        LeftOut("row 6", "no mask"),
    ]
    summary = write_dataset(tmp_path / "data", items)
    report = summary.report().splitlines()
    assert (summary.written, summary.pictures, len(summary.refused)) == (1, 1, 6)
    assert report[1].startswith("6 left out")
    assert report[2].startswith("  2 x a picture that cannot be used: id 4 (b.png: not a picture")
    assert "  1 x a mask of another size than its picture: id 2" in report
    assert "  1 x no mask: row 6" in report
    told = [json.loads(line) for line in (tmp_path / "data" / "left_out.jsonl").read_text().splitlines()]
    assert [each["where"] for each in told] == [*(f"id {n}" for n in range(1, 6)), "row 6"]
    assert [path.name for path in (tmp_path / "data" / "images").iterdir()] == ["a.png"]


def test_pictures_keep_apart_and_are_saved_once(tmp_path: Path):
    (tmp_path / "x").mkdir()
    Image.new("RGB", WH, "red").save(tmp_path / "x" / "A.png")
    Image.new("RGB", WH, "blue").save(tmp_path / "a.png")
    keys = [
        (tmp_path / "x" / "A.png", "x/A.png"),
        (tmp_path / "a.png", "a.png"),
        (tmp_path / "a.png", "a.png"),
    ]
    items = [item(str(i), picture=path, picture_key=key) for i, (path, key) in enumerate(keys)]
    write_dataset(tmp_path / "data", items)
    samples, _ = read_samples(tmp_path / "data")
    assert [sample.image for sample in samples] == ["images/a.png", "images/a-2.png", "images/a-2.png"]
    assert [load_sample(sample).picture.getpixel((0, 0)) for sample in samples[:2]] == [
        (255, 0, 0),
        (0, 0, 255),
    ]


def test_where_nothing_was_written_it_can_be_tried_again(tmp_path: Path):
    summary = write_dataset(tmp_path, [LeftOut("row 1", "no mask")])
    assert not (tmp_path / "data.jsonl").exists() and "nothing was written" in summary.report()
    with pytest.raises(DatasetError, match="no data.jsonl"):  # and not that of what was left out
        find_data_file(tmp_path)
    assert write_dataset(tmp_path, [item()]).written == 1
    assert not (tmp_path / "left_out.jsonl").exists()


def test_what_breaks_off_leaves_nothing_behind(tmp_path: Path):
    def broken():
        yield item("1")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path, broken())
    assert [path.name for path in tmp_path.iterdir()] == [".data.jsonl.lock"]


def test_two_at_once_do_not_share_a_file(tmp_path: Path):
    def items():
        yield item("1")
        with pytest.raises(LockedError, match="data.jsonl is being written by another process"):
            write_dataset(tmp_path, [item("2")])

    assert write_dataset(tmp_path, items()).written == 1
    assert [sample.id for sample in read_samples(tmp_path)[0]] == ["1"]


def test_pictures_that_lie_where_the_data_goes_are_not_lost(tmp_path: Path):
    mine = tmp_path / "images" / "a.png"
    mine.parent.mkdir()
    Image.new("RGB", WH, "red").save(mine)
    before = mine.read_bytes()
    write_dataset(tmp_path, [item(picture=mine, picture_key="a.png")])
    assert mine.read_bytes() == before
    assert [sample.image for sample in read_samples(tmp_path)[0]] == ["images/a-2.png"]


def test_a_key_that_two_pictures_share_does_not_mix_them(tmp_path: Path):
    pngs = []
    for color in ("red", "blue"):
        buffer = io.BytesIO()
        Image.new("RGB", WH, color).save(buffer, "PNG")
        pngs.append(buffer.getvalue())
    write_dataset(tmp_path, [item(str(n), picture=png, picture_key="7") for n, png in enumerate(pngs * 2)])
    seen = [load_sample(sample).picture.getpixel((0, 0)) for sample in read_samples(tmp_path)[0]]
    assert seen == [(255, 0, 0), (0, 0, 255)] * 2


def test_reasons_without_end_are_not_all_printed(tmp_path: Path):
    summary = write_dataset(tmp_path, [LeftOut(f"row {n}\nx" + "y" * 999, f"reason {n}") for n in range(99)])
    lines = summary.report().splitlines()
    assert len(lines) == 23 and lines[-1] == "  and 79 reasons more" and max(map(len, lines[2:])) < 600
    assert len((tmp_path / "left_out.jsonl").read_bytes().splitlines()) == 99


def test_a_pipe_is_no_data_and_a_line_without_end_no_row(tmp_path: Path, monkeypatch):
    os.mkfifo(tmp_path / "data.jsonl")
    with pytest.raises(DatasetError, match="not an ordinary file"):
        read_samples(tmp_path)
    monkeypatch.setattr("segzero.data.dataset._MAX_LINE", 64)
    (tmp_path / "a.jsonl").write_text(
        '{"a": 1}\n' + '{"a": "' + "x" * 200 + '"}\n{"a": 2}\n' + "[" * 63 + "\n"
    )
    rows = [row if isinstance(row, dict) else str(row) for _, row in read_rows(tmp_path / "a.jsonl")]
    assert rows == [{"a": 1}, "a line of more than 0 MB", {"a": 2}, "not a line of JSON"]


def test_lines_end_at_a_newline_alone(tmp_path: Path):
    questions = ["a\u2028b?", "a\u2029b?", "a\x85b?", "a\x0bb\x1cc?"]
    write_dataset(tmp_path, [item(str(n), question=question) for n, question in enumerate(questions)])
    samples, refused = read_samples(tmp_path)
    assert refused == [] and [sample.question for sample in samples] == questions


def test_a_data_set_is_not_written_over(tmp_path: Path):
    write_dataset(tmp_path, [item()])
    with pytest.raises(DatasetError, match="is there already"):
        write_dataset(tmp_path, [item()])
