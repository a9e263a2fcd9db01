"""Data that is made to break its reader: told per row, in little time and memory.

python -m pytest -q tests/data/test_hostile.py
"""

from __future__ import annotations

import json
import os
import pickle
import time
from pathlib import Path

import pytest
from PIL import Image

from segzero.data import DatasetError, load_sample, read_samples
from segzero.data.sources.plain_pickle import load_plain
from tests.shared.preparing import H, W, coco_polygon, picture, prepare

HUGE = 10**400
DEEP = json.loads("[" * 900 + "]" * 900)
CROWD = {"size": [H, W], "counts": [8, 4, H * W - 12]}
PIECES = {"size": [H, W], "counts": [8, 2, 20, 2, H * W - 32]}
SECONDS = 5  # what none of them may take, on however slow a machine: they take hundredths


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    picture(Path("pics/a.jpg"))
    return tmp_path


def write(image: dict | None = None, annotation: dict | None = None, **more: object) -> None:
    """A COCO file with one picture and one object, changed as given."""
    images = [{"id": 1, "file_name": "a.jpg", "width": W, "height": H, **(image or {})}]
    first = {"id": 1, "image_id": 1, "category_id": 5, "segmentation": coco_polygon(1, 1, 4, 4), "iscrowd": 0}
    annotations = [{**first, **(annotation or {})}]
    found = {"images": images, "annotations": annotations, "categories": [{"id": 5, "name": "cup"}], **more}
    Path("x.json").write_text(json.dumps(found))


def coco(*changes: dict, **more: object) -> int:
    """The same, prepared."""
    write(*changes, **more)
    began = time.monotonic()
    code = prepare("coco", "x.json", "--pictures", "pics")
    assert time.monotonic() - began < SECONDS
    return code


@pytest.mark.parametrize(
    ("image", "annotation", "told"),
    [
        (
            {"width": 10**9, "height": 10**9},
            {},
            "size in the JSON is not its file's: 1000000000 x 1000000000",
        ),
        ({"width": 10**5, "height": 10**5}, {}, "size in the JSON is not its file's"),
        ({"width": HUGE}, {}, "size in the JSON is not its file's: more than 10^12 x 8"),
        ({"width": H, "height": W}, {}, "size in the JSON is not its file's: 8 x 12, not 12 x 8"),
        ({"id": HUGE}, {"image_id": HUGE}, "a reference to no picture"),
        (
            {"id": [1]},
            {"image_id": [1], "id": {}, "category_id": [[]]},
            "annotation without an id, the 1. of",
        ),
        ({"id": DEEP}, {"image_id": DEEP, "id": DEEP, "category_id": DEEP}, "a reference to no picture"),
        ({}, {"segmentation": DEEP}, "annotation 1 (polygons are lists"),
        ({}, {"segmentation": [[HUGE] * 6]}, "annotation 1 (a polygon far outside the picture)"),
        (
            {},
            {"segmentation": [[0, 0, 24, 0] * 200_000]},
            "annotation 1 (polygons with an outline of more than",
        ),
        ({}, {"segmentation": {"size": [10**9] * 2, "counts": [10**18]}}, "annotation 1 (the size is not"),
        ({}, {"segmentation": {"size": [H, W], "counts": [HUGE]}}, "annotation 1 (run lengths of far more"),
        ({}, {"segmentation": {"size": [H, W], "counts": [5, 5]}}, "10 pixels in all, the size has 96"),
        ({}, {"segmentation": "a.jpg"}, "annotation 1 (its segmentation is text"),
        ({}, {"iscrowd": HUGE}, "iscrowd is neither 0 nor 1: 1-5, annotation 1"),
        ({}, {"iscrowd": "yes"}, "iscrowd is neither 0 nor 1: 1-5, annotation 1"),
        ({"file_name": None}, {}, "an image without a file_name"),
        ({"file_name": DEEP}, {}, "an image without a file_name"),
        ({"file_name": "a" * 5000}, {}, "is no file name"),
        ({"file_name": "pipe.jpg"}, {}, "not an ordinary file"),
        ({"file_name": "loop.jpg"}, {}, "is no file name"),
    ],
)
def test_coco_is_told_by_annotation(image: dict, annotation: dict, told: str, capsys: pytest.CaptureFixture):
    os.mkfifo("pics/pipe.jpg")
    os.symlink("loop.jpg", "pics/loop.jpg")
    assert coco(image, annotation) == 1
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("crowd", [1, 1.0, True, "1", "true", " True "])
def test_a_crowd_however_it_is_written(crowd: object, capsys: pytest.CaptureFixture):
    beside = [
        {"id": 1, "image_id": 1, "category_id": 5, "segmentation": coco_polygon(6, 1, 9, 4)},
        {"id": 2, "image_id": 1, "category_id": 5, "segmentation": CROWD, "iscrowd": crowd},
    ]
    assert coco(annotations=beside) == 0  # beside single objects it is a crowd
    (sample,) = read_samples(Path("out"))[0]
    assert (len(sample.masks), int(load_sample(sample).ignore.sum())) == (1, 4)
    assert "nothing was left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("crowds", "kept"),
    [
        ([CROWD], 1),  # one piece, nothing beside it
        ([PIECES], 0),  # in pieces: a crowd
        ([PIECES, CROWD], 2),  # two of one category in a picture, which COCO never has
    ],
)
def test_crowds_that_are_cvats_brush(crowds: list[dict], kept: int, capsys: pytest.CaptureFixture):
    both = [
        {"id": n, "image_id": 1, "category_id": 5, "segmentation": crowd, "iscrowd": 1}
        for n, crowd in enumerate(crowds)
    ]
    assert coco(annotations=both) == (0 if kept else 1)
    assert (
        "only a crowd" if not kept else f"{kept} x iscrowd 1 taken as one object each"
    ) in capsys.readouterr().out


def test_the_brush_is_known_by_cvats_attributes():
    assert coco({}, {"iscrowd": 1, "segmentation": PIECES, "attributes": {"occluded": False}}) == 0


def test_two_categories_of_one_name_are_one_question():
    objects = [
        {"id": n, "image_id": 1, "category_id": n, "segmentation": coco_polygon(3 * n, 1, 3 * n + 2, 3)}
        for n in (1, 2)
    ]
    assert coco(annotations=objects, categories=[{"id": n, "name": "cup"} for n in (1, 2)]) == 0
    (sample,) = read_samples(Path("out"))[0]
    assert (sample.question, len(sample.masks)) == ("cup", 2)


def test_a_picture_under_two_ids_is_asked_about_once(capsys: pytest.CaptureFixture):
    images = [{"id": n, "file_name": "a.jpg", "width": W, "height": H} for n in (1, 2)]
    objects = [
        {"id": 1, "image_id": n, "category_id": 5, "segmentation": coco_polygon(3 * n, 1, 3 * n + 2, 3)}
        for n in (1, 2)
    ]
    assert coco(images=images, annotations=objects) == 0
    (sample,) = read_samples(Path("out"))[0]
    assert (sample.id, len(sample.masks)) == ("1-5", 2)
    assert "image 2 is the same file, taken together: 1-5, annotation 1" in capsys.readouterr().out


# What leads out of the folder, or nowhere: a picture beside the folder, and ways to it.
WAYS_OUT = [
    "../secret.png", "x/../../secret.png", "./../secret.png", "..//secret.png", "{root}/secret.png",
    "link.png", "linked/secret.png", "up/secret.png", "..\\secret.png", "x\\..\\..\\secret.png",
    "a\0/../../secret.png", "~/secret.png", "file://{root}/secret.png", "/proc/self/cwd/secret.png", "..",
    "/", "\ud83d/../../secret.png", "../" * 40 + "{root}/secret.png",
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS_OUT, ids=ascii)
@pytest.mark.parametrize("source", ["coco", "table", "mask", "local"])
def test_no_way_leads_out_of_the_folder(here: Path, way: str, source: str):
    Image.new("RGB", (W, H), "blue").save("secret.png")
    Path("pics/x").mkdir()
    os.symlink(here / "secret.png", "pics/link.png")
    os.symlink(here, "pics/linked")
    os.symlink("..", "pics/up")
    way = way.replace("{root}", str(here))
    row = {"image": way, "question": "a?", "masks": [], "mask": []}
    row |= {"image": "a.jpg", "mask": way} if source == "mask" else {}
    Path("pics/x.jsonl").write_text(json.dumps(row) + "\n")
    if source == "coco":
        assert coco({"file_name": way}) == 1
    elif source == "local":
        for sample in read_samples(Path("pics/x.jsonl"))[0]:
            with pytest.raises(ValueError):
                load_sample(sample)
    else:
        assert prepare("table", "pics/x.jsonl") == 1
    assert not list(Path().glob("out/images/*"))


def lists_of_lists(depth: int) -> list:
    """10 ** depth lists in some hundred bytes."""
    found: list = []
    for _ in range(depth):
        found = [found] * 10
    return found


BOMB = lists_of_lists(60)
SHARED = [{"sent": "a"}] * 9999


@pytest.mark.parametrize(
    ("refs", "told"),
    [
        ([{"ref_id": BOMB}], "an incomplete reference"),
        ([{"ref_id": 10**5000}], "an incomplete reference"),
        ([{"sentences": BOMB}], "a question that cannot be asked"),
        ([{"sentences": [{"sent": BOMB}]}], "a question that cannot be asked"),
        ([{"image_id": BOMB}], "a reference to no picture"),
        ([{"ann_id": [BOMB]}], "no annotation None"),
        ([{"ann_id": BOMB}], "no annotation None"),
        ([{"ann_id": [[1]]}], "no annotation None"),
        ([{"ann_id": [1], "no_target": 1}], "marked as having none"),
        ([{"ann_id": [1, -1]}], "without its objects"),
        ([{"split": BOMB}], "has no split 'val'"),
        ([{"sentences": SHARED, "ref_id": n} for n in range(99)], "repeats its parts"),
        ([{"ann_id": SHARED, "ref_id": n} for n in range(99)], "repeats its parts"),
    ],
)
def test_a_pickle_that_shares_its_parts_without_end(refs: list, told: str, capsys: pytest.CaptureFixture):
    write()
    plain = {"ref_id": 1, "split": "val", "image_id": 1, "ann_id": 1, "sentences": [{"sent": "a"}]}
    Path("refs.p").write_bytes(pickle.dumps([plain | ref for ref in refs]))
    began = time.monotonic()
    assert prepare("refer", "refs.p", "x.json", "--pictures", "pics") == 1
    assert time.monotonic() - began < SECONDS
    said = capsys.readouterr()
    assert told in said.out + said.err


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02]r\xff\xff\xff\x7f.",  # a memo of 2^31 places
        b"(lp99999999999999999999\n.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",  # bytes of 2^63
        b"\x80\x05\x96\x00\x00\x00\x00\x10\x00\x00\x00.",  # a bytearray of 2^36
        b"\x80\x02U",
        b"",
    ],
)
def test_a_pickle_that_asks_for_memory(data: bytes):
    Path("refs.p").write_bytes(data)
    with pytest.raises(DatasetError, match=r"refs\.p is no pickle of plain data"):
        load_plain(Path("refs.p"))


@pytest.mark.parametrize("kind", ["coco", "refer", "table", "lisa"])
def test_a_pipe_is_no_source(kind: str, capsys: pytest.CaptureFixture):
    for name in ("pipe.json", "pipe.csv", "pipe.p", "pics/pipe.json"):
        os.mkfifo(name)
    args = {
        "coco": ["pipe.json", "--pictures", "pics"],
        "refer": ["pipe.p", "pipe.json", "--pictures", "pics"],
        "table": ["pipe.csv"],
        "lisa": ["pics"],
    }[kind]
    assert prepare(kind, *args) == 1
    said = capsys.readouterr()
    assert "not an ordinary file" in said.out + said.err
