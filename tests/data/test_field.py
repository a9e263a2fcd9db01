"""Files from the field, each read rightly or told: python -m pytest -q tests/data/test_field.py

What is right is not what the code says: sizes of objects are from the files' own numbers, a polygon from 2 to
12 has 10 x 10 pixels, LISA's from 5 to 30 with its outline 26 x 26, and "told" follows the files' README.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from segzero.data import load_sample, read_samples
from tests.shared.field import SHARED, unpack
from tests.shared.preparing import prepare

CUP, DOG, TEA = ("cup", 1, 100), ("dog", 1, 100), ("where would you pour the tea", 1, 676)
WHAT, THE_CUP = ("what?", 1, 225), ("the cup", 1, 225)
LEFT = ("what is on the left?", 1, 225)
NO_TARGET = [(f"{text}", 0, 0) for text in ("the tiger", "the lion", "no dog", "no cat", "the zebra")]

COCO = {  # file: (what is kept: question, objects, pixels; words that are told)
    "dup_ann": ([("cup", 2, 200), DOG, CUP], ""),
    "dup_img": ([], "2 x the image id stands for two pictures, a.jpg and b.jpg"),
    "no_cat": ([CUP, ("object", 1, 100)], "asked for as 'object': 1-object, annotation 2"),
    "no_categories": ([("object", 2, 200)] * 2, "4 x a category without a name"),
    "mixed_ids": ([CUP, DOG], ""),
    "str_ids": ([CUP, DOG], ""),
    "cat_str": ([CUP], ""),
    "num_name": ([("7", 1, 100)], ""),
    "no_id": ([CUP], ""),
    "float_wh_rle": ([("cup", 1, 10), DOG], ""),
    "float_wh_poly": ([CUP, DOG], ""),
    "no_wh": ([CUP], ""),
    "null_wh": ([CUP, DOG], ""),
    "size_swapped": ([], "annotation 1 (the size is not"),
    "cvat_mask": ([("cup", 1, 10), ("dog", 1, 10)], "2 x iscrowd 1 taken as one object each"),
    "iscrowd_bool": ([CUP], ""),
    "empty_seg": ([CUP, DOG], "1-1, annotation 2 (it has no segmentation)"),
    "no_seg": ([], "1-1, annotation 1 (it has no segmentation)"),
    "zero_area": ([CUP, DOG], "1-1, annotation 1 (a mask without a pixel)"),
    "four_numbers": ([DOG], "1-1, annotation 1 (polygons are lists of"),
    "flat_poly": ([], "1-1, annotation 1 (polygons are lists of"),
    "bom": ([], "1-1, annotation 1 (polygons are lists of"),
    "bytes_rle": ([], "1-1, annotation 1 (run lengths that are not COCO's)"),
    "list_rle": ([], "1-1, annotation 1 (polygons are lists of"),
    "backslash": ([CUP], "found by the last part of its name alone: a.jpg"),
    "ls_up": ([CUP], "found by the last part of its name alone: a.jpg"),
    "same_names": ([CUP, CUP], ""),
    "livecell": ([CUP, CUP], ""),
    "exif_stored": ([CUP], ""),
    "exif_square": ([CUP], "1 x EXIF turns the picture, and its size does not say for which way"),
}
LISA = {
    "rectangle": ([TEA], ""),
    "linestrip": ([], "a shape of type linestrip"),
    "point": ([], "a shape of type point"),
    "labelme_plain": ([], "labelme's have no text"),
    "no_shapes": ([], "none of its shapes is a target"),
    "only_flag": ([], "none of its shapes is a target"),
    "only_ignore": ([], "none of its shapes is a target"),
    "bom": ([TEA], ""),
    "cp1252": ([("the cup’s handle", 1, 676)], "read as cp1252, not UTF-8: one.json"),
    "gbk": ([], "it is not in UTF-8, and may be in"),
    "caps": ([(TEA[0], 1, 676 - 21)], ""),  # the ignored triangle lies on a corner of it
    "exif6": ([(TEA[0], 1, 36 * 56)], ""),
    "JPG": ([TEA], ""),
    "png": ([TEA], ""),
    "null_xy": ([], "a polygon without a point, or far outside"),
    "other_label": ([TEA], ""),
    "same_texts": ([TEA, TEA], ""),
    "text_str": ([TEA], ""),
}
TABLE = {
    "semicolon.csv": ([LEFT], ""),
    "caps.csv": ([WHAT], ""),
    "spaces.csv": ([LEFT], ""),
    "cp1252.csv": ([("what is in the café?", 1, 225)], "read as cp1252, not UTF-8"),
    "backslash.csv": ([LEFT], ""),
    "utf16.csv": ([LEFT], ""),
    "bom.csv": ([LEFT], ""),
    "cr.csv": ([WHAT], ""),
    "nfd.csv": ([("books", 1, 225)], ""),
    "unicode.csv": ([('books, "red" ones', 1, 225)], ""),
    "plain.csv": ([LEFT], ""),
    "short.csv": ([], "no 'mask': line 2"),
    "trailing.csv": ([WHAT], ""),
    "empty.csv": ([], "has no column image"),
    "header.csv": ([], "holds no row"),
    "ids.csv": ([WHAT], "a duplicate id: id 1"),
    "excel_ids.csv": ([WHAT, ("which?", 1, 225), ("who?", 1, 225)], ""),
    "array.json": ([WHAT], ""),
    "array1.json": ([WHAT], ""),
    "null.jsonl": ([("x?", 0, 0), ("y?", 0, 0)], "no 'mask': line 1"),
    "utf8bom.jsonl": ([WHAT], ""),
    "poly.jsonl": ([WHAT, ("two?", 2, 225 + 45)], "line 3 (polygons are lists of"),
    "mask_rle.csv": ([], "run lengths cut off in the middle"),
    "mask_7_jpg.csv": ([], "masks/7.jpg cannot be read as PNG"),
    **{
        f"mask_{kind}_png.csv": ([WHAT], "")
        for kind in ("bit", "one", "deep", "rgba", "palette", "palette_swapped", "black_cutout")
    },
}
REFER = {
    "refs(unc).p": (
        [("left cup", 1, 100)] * 2 + [("the crowd of cups", 1, 10), ("café cup", 1, 100)],
        "id 2-0",
    ),
    "refs(numpy).p": ([], "plain data asks for nothing"),
    "grefs(unc).json": ([("both cups", 2, 200), *NO_TARGET], "ref 16-0; ref 17-0"),
    "grefs(cross).json": ([], "annotation 11 is about image 9, the reference about another"),
    "grefs(dup).json": ([("a cup", 1, 100)], "a duplicate id: id 1-0"),
}
HUB = {
    **{name: ([THE_CUP], "") for name in ("bool", "array2d", "float", "uint8_255", "mask_image", "int_ids")},
    **{name: ([THE_CUP], "") for name in ("ann_list", "gif", "jp2", "path_only")},
    "rotated": ([THE_CUP], "a mask for the picture as it is stored"),
    "transposed": ([], "a mask of another size than its picture"),
    "null_mask": ([], "the row has no mask"),
    "empty_mask": ([], "the mask has no rows"),
    "null_text": ([], "a question that cannot be asked"),
    "list_null_text": ([("a", 1, 225)], "a question that cannot be asked"),
    "texts": ([THE_CUP, ("what holds tea?", 1, 225)], ""),
    "same_id_other_text": ([THE_CUP, ("left cup", 1, 225)], ""),
    "same_id_other_mask": ([THE_CUP, THE_CUP], ""),
    "same_image_id_other_picture": ([THE_CUP, THE_CUP], ""),
}


@pytest.fixture(params=["our copy", "the shared folder"])
def field(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the files; the test runs in an empty one."""
    monkeypatch.chdir(tmp_path)
    if request.param == "our copy":
        return unpack(tmp_path / "field")
    if not SHARED.is_dir():
        pytest.skip("the project's shared folder is not beside this checkout")
    return SHARED


def check(kept: list, told: str, capsys: pytest.CaptureFixture, *args: object) -> None:
    """Prepare, and hold what came of it against what is right."""
    assert prepare(*args) == (0 if kept else 1)
    said = capsys.readouterr()
    text = said.out + "".join(line for line in said.err.splitlines(True) if line.startswith("segzero: "))
    assert told in text and (told or "nothing was left out" in text)
    if not kept:
        return
    loaded = [(sample, load_sample(sample)) for sample in read_samples(Path("out"))[0]]
    assert [(s.question, len(each.masks), int(each.truth.sum())) for s, each in loaded] == kept


@pytest.mark.parametrize("name", COCO)
def test_coco(field: Path, name: str, capsys: pytest.CaptureFixture):
    check(*COCO[name], capsys, "coco", field / "coco" / f"{name}.json", "--pictures", field / "coco/pics")


@pytest.mark.parametrize("name", LISA)
def test_lisa(field: Path, name: str, capsys: pytest.CaptureFixture):
    check(*LISA[name], capsys, "lisa", field / "lisa" / name)


@pytest.mark.parametrize("name", TABLE)
def test_table(field: Path, name: str, capsys: pytest.CaptureFixture):
    check(*TABLE[name], capsys, "table", field / "table" / name)


@pytest.mark.parametrize("name", REFER)
def test_refer(field: Path, name: str, capsys: pytest.CaptureFixture):
    instances, pictures = field / "refer/instances.json", field / "refer/train2014"
    check(*REFER[name], capsys, "refer", field / "refer" / name, instances, "--pictures", pictures)


@pytest.mark.parametrize("field", ["the shared folder"], indirect=True)
@pytest.mark.parametrize("name", HUB)
def test_hub(field: Path, name: str, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    check(*HUB[name], capsys, "hub", field / "hub" / name)
    if name == "same_image_id_other_picture":
        sizes = [load_sample(sample).picture.size for sample in read_samples(Path("out"))[0]]
        assert sizes == [(64, 48), (48, 64)]


def test_nothing_of_the_shared_folder_is_forgotten():
    if not SHARED.is_dir():
        pytest.skip("the project's shared folder is not beside this checkout")
    left = {"mask_noisy_png.csv"}  # a mask with noise in it is a mask: every pixel that is not 0
    assert {path.stem for path in SHARED.glob("coco/*.json")} == set(COCO)
    assert {path.name for path in SHARED.glob("lisa/*")} == set(LISA)
    assert {path.name for path in SHARED.glob("table/*.*")} - left == set(TABLE)
    assert {path.name for path in SHARED.glob("refer/*refs*")} == set(REFER)
    assert {path.name for path in SHARED.glob("hub/*")} == set(HUB)
