"""LISA's folders, COCO and refer files, made local: python -m pytest tests/data/test_prepare_benchmarks.py"""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segzero.data import load_sample, read_samples
from segzero.data.sources.lisa import paint
from tests.shared.preparing import H, W, coco_polygon, picture, polygon, prepare, rectangle


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---------------------------------------------------------------------------------------------------- LISA


def test_small_polygons_lie_on_large_ones_whatever_their_order():
    shapes = [
        {"label": "target", "points": polygon(4, 3, 6, 5)},
        {"label": "ignore", "points": polygon(2, 1, 9, 6)},
        {"label": "flag", "points": polygon(0, 0, 11, 7)},
    ]
    target, ignore = paint(shapes, (W, H))
    assert (target == rectangle(4, 3, 6, 5)).all()
    assert (ignore == rectangle(2, 1, 9, 6) & ~target).all()


def test_a_lisa_folder(capsys: pytest.CaptureFixture):
    picture(Path("val/b.jpg"))
    picture(Path("val/c.jpg"))
    shapes = [
        {"label": "target", "points": polygon(1, 1, 3, 3)},
        {"label": "Ignore", "points": polygon(6, 1, 8, 3)},
    ]
    annotation = {"text": ["what is red?", "the red one"], "is_sentence": True, "shapes": shapes}
    Path("val/b.json").write_bytes(json.dumps(annotation, ensure_ascii=False).encode())
    cp1252 = {**annotation, "text": ["it’s red"], "is_sentence": False}
    Path("val/c.json").write_bytes(json.dumps(cp1252, ensure_ascii=False).encode("cp1252"))
    Path("val/d.json").write_text('{"text": []}')
    Path("val/e.json").write_text(json.dumps(annotation))  # no picture
    assert prepare("lisa", "val") == 0
    samples, _ = read_samples(Path("out"))
    assert [(s.id, s.question, s.kind, s.text) for s in samples] == [
        ("b", "what is red?", "sentence", 0),
        ("b-1", "the red one", "sentence", 1),
        ("c", "it’s red", "phrase", 0),
    ]
    loaded = load_sample(samples[0])
    assert (loaded.truth == rectangle(1, 1, 3, 3)).all() and (loaded.ignore == rectangle(6, 1, 8, 3)).all()
    out = capsys.readouterr().out
    assert "3 questions about 2 pictures" in out and "3 left out" in out and "no annotation" in out
    assert "2 x a picture that cannot be used: e (e.jpg" in out  # each of its texts


def shape(points: list, label: str = "target", **more: object) -> dict:
    return {"label": label, "points": points, **more}


SQUARE = polygon(1, 1, 3, 3)


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        ([shape([[3, 3], [1, 1]], shape_type="rectangle")], ""),
        ([shape(SQUARE, shape_type="rectangle")], ""),
        ([shape(SQUARE), shape([[0, 0]], "flag", shape_type="point")], ""),
        ([shape([[1, 1], [3, 3]])], "encloses nothing"),
        ([shape([[1, 1], [2, 2], [3, 3]])], "encloses nothing"),
        ([shape([[1, 1], [3, 1]], shape_type="rectangle")], "encloses nothing"),
        ([shape([[1, 1], [3, 3]], shape_type="circle")], "of type circle"),
        ([shape(SQUARE), shape([[5, 5], [6, 6]], shape_type="line")], "of type line"),
        ([shape(SQUARE), shape([[5, 5]], "ignore", shape_type="point")], "of type point"),
        ([shape(SQUARE, shape_type=["x"])], "of type that is no text"),
        ([shape([[10**400, 1], [1, 1], [5, 5]])], "without a list of x, y pairs"),
        ([shape(polygon(30, 30, 40, 40))], "none of its shapes is a target inside"),
        ([shape(SQUARE)] * 1001, "more than 1,000 shapes"),
        ([None], "a shape without a label"),
    ],
)
def test_shapes_that_are_areas_and_others(shapes: list, told: str, capsys: pytest.CaptureFixture):
    picture(Path("val/b.jpg"))
    Path("val/b.json").write_text(json.dumps({"text": "a?", "shapes": shapes}))
    assert prepare("lisa", "val") == (1 if told else 0)
    out = capsys.readouterr().out
    assert told in out
    if not told:
        assert (load_sample(read_samples(Path("out"))[0][0]).truth == rectangle(1, 1, 3, 3)).all()


@pytest.mark.parametrize(
    ("points", "size", "seen"),
    [
        (polygon(9, 1, 11, 3), {"imageWidth": W, "imageHeight": H}, (4, 9, 6, 11)),  # as stored: turned
        (polygon(9, 1, 11, 3), {}, (4, 9, 6, 11)),  # so far right that it can be nothing else
        (
            polygon(1, 9, 3, 11),
            {"imageWidth": str(H), "imageHeight": float(W)},
            (1, 9, 3, 11),
        ),  # as labelme shows it
        (polygon(1, 9, 3, 11), {}, (1, 9, 3, 11)),
    ],
)
def test_labels_of_a_picture_that_exif_turns(points: list, size: dict, seen: tuple):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right: x becomes y, and y counts from the right, 7 - y
    Path("val").mkdir()
    Image.new("RGB", (W, H)).save("val/b.png", exif=exif)
    Path("val/b.json").write_text(json.dumps({"text": ["a?"], "shapes": [shape(points)], **size}))
    assert prepare("lisa", "val") == 0
    x1, y1, x2, y2 = seen
    truth = load_sample(read_samples(Path("out"))[0][0]).truth
    ys, xs = np.nonzero(truth)
    assert truth.shape == (W, H) and (xs.min(), ys.min(), xs.max(), ys.max()) == (x1, y1, x2, y2)


# -------------------------------------------------------------------------------------------- COCO and refer


def coco(path: Path = Path("instances.json")) -> Path:
    images = [
        {"id": 1, "width": W, "height": H, "file_name": "1.jpg"},
        {"id": 2, "width": W, "height": H, "file_name": "2.jpg"},
    ]
    categories = [{"id": 5, "name": "umbrella"}, {"id": 6, "name": "dog"}]
    boxes = [(1, 1, 3, 3), (5, 1, 8, 4), (2, 2, 6, 6)]
    annotations = [
        {"id": 10 + i, "image_id": 1, "category_id": 5, "segmentation": coco_polygon(*box), "iscrowd": 0}
        for i, box in enumerate(boxes)
    ]
    annotations[2] |= {"iscrowd": 1, "segmentation": {"size": [H, W], "counts": [0, H, H * (W - 1)]}}
    annotations += [{"id": 20, "image_id": 2, "category_id": 6, "segmentation": [], "iscrowd": 0}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    picture(Path("train2014/1.jpg"))
    picture(Path("train2014/2.jpg"))
    return path


def test_coco_categories_are_questions(capsys: pytest.CaptureFixture):
    assert prepare("coco", coco(), "--pictures", "train2014") == 0
    (sample,), _ = read_samples(Path("out"))
    assert (sample.id, sample.question, sample.kind) == ("1-5", "umbrella", "umbrella")
    loaded = load_sample(sample)
    assert (loaded.masks == [rectangle(1, 1, 2, 2), rectangle(5, 1, 7, 3)]).all()
    assert (loaded.ignore == rectangle(0, 0, 0, 7)).all()
    assert "1 x a mask that cannot be used: 2-6" in capsys.readouterr().out


REFS = [
    {
        "ref_id": 7,
        "image_id": 1,
        "ann_id": 10,
        "split": "val",
        "sentences": [{"sent": "left one"}, {"sent": "small"}],
    },
    {"ref_id": 8, "image_id": 1, "ann_id": 11, "split": "train", "sentences": [{"sent": "right one"}]},
    {"ref_id": 9, "image_id": 3, "ann_id": 11, "split": "val", "sentences": [{"sent": "right one"}]},
    {"ref_id": 10, "image_id": 1, "ann_id": 99, "split": "val", "sentences": [{"sent": "nobody"}]},
    {"ref_id": 11, "image_id": 1, "split": "val", "sentences": [{"sent": "nobody"}]},
]


@pytest.mark.parametrize("protocol", [0, 2])
def test_refcoco(protocol: int, capsys: pytest.CaptureFixture):
    Path("refs(unc).p").write_bytes(pickle.dumps(REFS, protocol=protocol))
    assert prepare("refer", "refs(unc).p", coco(), "--pictures", "train2014", "--split", "val") == 0
    samples, _ = read_samples(Path("out"))
    assert [(s.id, s.question, s.kind, s.expression) for s in samples] == [
        ("7-0", "left one", "one", 0),
        ("7-1", "small", "one", 1),
    ]
    assert (load_sample(samples[1]).masks == [rectangle(1, 1, 2, 2)]).all()
    out = capsys.readouterr().out
    assert "3 left out" in out and "there is no annotation 99" in out and "to no picture" in out


def test_grefcoco():
    several = {
        "ref_id": 1,
        "image_id": 1,
        "ann_id": [10, 11],
        "split": "val",
        "sentences": [{"sent": "both"}],
    }
    none = {
        "ref_id": 2,
        "image_id": 1,
        "ann_id": [-1],
        "no_target": True,
        "split": "val",
        "sentences": [{"sent": "a cow"}],
    }
    Path("grefs.json").write_text(json.dumps([several, none]))
    assert prepare("refer", "grefs.json", coco(), "--pictures", "train2014") == 0
    both, nothing = read_samples(Path("out"))[0]
    assert (both.kind, len(load_sample(both).masks)) == ("several", 2)
    assert (nothing.kind, len(load_sample(nothing).masks)) == ("none", 0)


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("touched"),)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (pickle.dumps([Evil()]), "plain data asks for nothing"),
        (pickle.dumps([{"ref_id": np.float64(1)}]), "plain data asks for nothing"),
        (b"cos\nsystem\n(S'true'\ntR.", "it asks for os.system"),
        (b"no pickle", "no pickle of plain data"),
        (pickle.dumps(REFS)[:-20], "no pickle of plain data"),
        (pickle.dumps({"a": 1}), "no list of references"),
        (pickle.dumps([]), "has no split 'val'"),
    ],
)
def test_a_pickle_of_anything_else_is_not_run(content: bytes, word: str, capsys: pytest.CaptureFixture):
    Path("refs.p").write_bytes(content)
    assert prepare("refer", "refs.p", coco(), "--pictures", "train2014") == 1
    said = capsys.readouterr().err
    assert said.startswith("segzero: ") and said.count("\n") == 1 and word in said
    assert not Path("touched").exists() and not Path("out").exists()
