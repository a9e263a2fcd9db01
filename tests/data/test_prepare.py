"""The Hub's sets and tables of files, made local: python -m pytest tests/data/test_prepare.py"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segzero.data import load_sample, read_samples
from tests.shared.preparing import H, W, coco_polygon, picture, prepare, rectangle


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --------------------------------------------------------------------------------------------------- the Hub


def test_a_set_of_the_hub():
    datasets = pytest.importorskip("datasets")
    png = io.BytesIO()
    Image.new("RGB", (W, H), "red").save(png, "PNG")
    image = {"bytes": png.getvalue(), "path": None}
    mask = rectangle(1, 1, 3, 3).tolist()
    rows = {
        "image": [image] * 6,
        "text": ["what is red?", "and this?", "turned", "ragged", "what is red?", "other words"],
        "mask": [mask, mask, rectangle(1, 1, 3, 3).T.tolist(), [[True], [True, False]], mask, mask],
        "image_id": ["p/1"] * 6,
        "ann_id": [0, 1, 2, 3, 0, 0],
        "reasoning_type": ["colour", None, "x", "x", "colour", "other"],
    }
    Path("set").mkdir()
    made = datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image(decode=False))
    made.to_parquet("set/test-00000-of-00001.parquet")
    assert prepare("hub", "set") == 0
    samples, _ = read_samples(Path("out"))
    assert [(s.id, s.question, s.image) for s in samples] == [
        ("p/1-0", "what is red?", "images/1.png"),
        ("p/1-1", "and this?", "images/1.png"),
        ("p/1-0-row5", "other words", "images/1.png"),
    ]
    assert [sample.kind for sample in samples] == ["colour", "", "other"]
    assert (load_sample(samples[0]).truth == rectangle(1, 1, 3, 3)).all()
    told = [json.loads(line)["reason"] for line in Path("out/left_out.jsonl").read_text().splitlines()]
    assert told == [
        "a mask of another size than its picture",
        "the mask's rows are of different lengths",
        "a duplicate id",
    ]


@pytest.mark.parametrize("splits", [None, ("train", "test")])
def test_a_set_that_was_saved_to_disk(splits, capsys: pytest.CaptureFixture):
    datasets = pytest.importorskip("datasets")
    png = io.BytesIO()
    Image.new("RGB", (W, H), "red").save(png, "PNG")
    row = {
        "image": {"bytes": png.getvalue()},
        "text": ["red?", "this?"],
        "mask": rectangle(1, 1, 3, 3).tolist(),
    }
    made = datasets.Dataset.from_list([row])
    (datasets.DatasetDict({split: made for split in splits}) if splits else made).save_to_disk("saved")
    assert prepare("hub", "saved", *(["--split", "train"] if splits else [])) == 0
    samples, _ = read_samples(Path("out"))
    assert [(s.id, s.question, s.text) for s in samples] == [("0", "red?", 0), ("0-1", "this?", 1)]
    if splits:
        assert prepare("hub", "saved", "--split", "val") == 1
        assert "no split 'val', only train, test" in capsys.readouterr().err


def test_a_set_without_a_column(capsys: pytest.CaptureFixture):
    datasets = pytest.importorskip("datasets")
    Path("set").mkdir()
    datasets.Dataset.from_dict({"image": [1], "text": ["a"]}).to_parquet("set/test.parquet")
    assert prepare("hub", "set") == 1
    assert "set has no column mask; it has image, text" in capsys.readouterr().err


def test_a_set_of_several_splits_needs_a_choice(capsys: pytest.CaptureFixture):
    datasets = pytest.importorskip("datasets")
    Path("set").mkdir()
    for split in ("train", "validation"):
        datasets.Dataset.from_dict({"image": [1], "text": ["a"]}).to_parquet(f"set/{split}.parquet")
    assert prepare("hub", "set") == 1
    assert "set has the splits train, validation; choose one with --split" in capsys.readouterr().err


def test_a_set_that_is_not_there(capsys: pytest.CaptureFixture):
    assert prepare("hub", "nobody/nothing") == 1
    assert capsys.readouterr().err.startswith("segzero: nobody/nothing cannot be had: ")


# ---------------------------------------------------------------------------------------------------- tables


@pytest.fixture
def mine() -> Path:
    picture(Path("mine/a.png"))
    for name, box in {"left": (1, 1, 3, 3), "right": (6, 1, 8, 3)}.items():
        Image.fromarray(rectangle(*box).astype(np.uint8) * 255).save(f"mine/{name}.png")
    return Path("mine")


def test_a_csv(mine: Path, capsys: pytest.CaptureFixture):
    table = 'id,image,question,mask,kind\nx,a.png,"left, please",left.png,side\n'
    table += ",a.png,both,left.png; right.png,\n,a.png,none,,\n"
    table += ",a.png,lost,none.png,\n,b.png,lost,left.png,\n,a.png\n"
    (mine / "q.csv").write_text(table, encoding="utf-8-sig")
    assert prepare("table", "mine/q.csv") == 0
    samples, _ = read_samples(Path("out"))
    assert [(s.id, s.question, len(s.masks), s.kind) for s in samples] == [
        ("x", "left, please", 1, "side"),
        ("3", "both", 2, ""),
        ("4", "none", 0, ""),
    ]
    assert (load_sample(samples[1]).masks == [rectangle(1, 1, 3, 3), rectangle(6, 1, 8, 3)]).all()
    out = capsys.readouterr().out
    assert (
        "3 left out" in out and "line 5 (there is no file none.png)" in out and "no 'question': line 7" in out
    )


@pytest.mark.parametrize(
    "table",
    [
        "sep=;\r\nImage;Question;Mask\r\na.png;left?;left.png\r\n",
        "image\tquestion\tmask\na.png\tleft?\tleft.png\n",
        " IMAGE ; Question; mask\n a.png ; left? ;left.png\n;;\n",
        "\n\nimage,question,mask\n.\\a.png,left?,.\\left.png\n",
        'kind,mask,question,image\n,"[""left.png""]",left?,a.png\n',
        "image|question|mask\ra.png|left?|left.png\r",
    ],
)
def test_a_csv_as_others_write_it(mine: Path, table: str):
    (mine / "q.csv").write_bytes(table.encode("utf-16" if "sep=" in table else "utf-8"))
    assert prepare("table", "mine/q.csv") == 0
    (sample,), _ = read_samples(Path("out"))
    assert sample.question == "left?" and (load_sample(sample).truth == rectangle(1, 1, 3, 3)).all()


def test_what_is_odd_in_a_csv_is_told(mine: Path, capsys: pytest.CaptureFixture):
    rows = ["a.png,left, please,left.png", 'a.png,ok,"{"', "a.png,ok,left.png"]
    (mine / "q.csv").write_text("image,question,mask\n" + "\n".join(rows))
    assert prepare("table", "mine/q.csv") == 0
    out = capsys.readouterr().out
    assert "1 question about" in out and "more cells than columns" in out and "line 2" in out
    assert "line 3 (it is neither a file's name nor whole JSON)" in out
    (mine / "q.csv").write_text("image,Image,question,mask\n")
    assert prepare("table", "mine/q.csv") == 1
    assert "has the column image twice" in capsys.readouterr().err


def test_a_number_for_an_id_is_not_another_rows_own(mine: Path):
    (mine / "q.csv").write_text("id,image,question,mask\n,a.png,x,\n2,a.png,y,\n4,a.png,z,\n,a.png,w,\n")
    assert prepare("table", "mine/q.csv") == 0
    assert [sample.id for sample in read_samples(Path("out"))[0]] == ["line-2", "2", "4", "5"]


def test_a_jsonl(mine: Path):
    rows = [
        {"image": "a.png", "question": "left?", "mask": "left.png", "ignore": "right.png"},
        {"image": "a.png", "question": "both?", "mask": ["left.png", coco_polygon(6, 1, 9, 4)]},
        {"image": "a.png", "question": "none?", "mask": []},
        {"image": "a.png", "question": "polygons?", "mask": coco_polygon(6, 1, 9, 4)},
    ]
    (mine / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert prepare("table", "mine/q.jsonl") == 0
    left, both, none, polygons = map(load_sample, read_samples(Path("out"))[0])
    assert (left.ignore == rectangle(6, 1, 8, 3)).all() and (both.truth == left.truth | left.ignore).all()
    assert not none.truth.any() and (polygons.truth == left.ignore).all()


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("table", "mine/none.csv"), "mine/none.csv cannot be read"),
        (("table", "mine/left.png"), "is not CSV in UTF-8"),
        (("lisa", "mine"), "mine holds no .json file"),
        (("lisa", "none"), "none is no folder"),
        (("coco", "mine/left.png", "--pictures", "mine"), "is not COCO's JSON"),
        (("refer", "none.json", "none.json", "--pictures", "mine"), "none.json cannot be read"),
    ],
)
def test_what_is_no_source_is_said_in_one_line(mine: Path, args, word: str, capsys: pytest.CaptureFixture):
    assert prepare(*args) == 1
    said = capsys.readouterr().err
    assert said.startswith("segzero: ") and said.count("\n") == 1 and word in said


def test_a_column_that_is_missing(mine: Path, capsys: pytest.CaptureFixture):
    (mine / "q.csv").write_text("image,text\na.png,left\n")
    assert prepare("table", "mine/q.csv") == 1
    assert "no column question and no column mask" in capsys.readouterr().err


def test_a_source_of_which_nothing_can_be_used_fails(mine: Path, capsys: pytest.CaptureFixture):
    (mine / "q.csv").write_text("image,question,mask\nb.png,left,left.png\n")
    assert prepare("table", "mine/q.csv") == 1
    assert "0 questions about 0 pictures" in capsys.readouterr().out
