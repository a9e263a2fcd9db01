"""Whatever data holds, its readers raise nothing but their own, and each row is written or told.

python -m pytest -q tests/data/test_any_data.py
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from segzero.data import DatasetError, load_sample, read_samples, write_dataset
from segzero.data.dataset_writer import Summary
from segzero.data.raw_files import decode
from segzero.data.sources import coco, lisa, refer, table
from segzero.pictures import MaskError, decode_rle, encode_mask, read_mask

WH = (12, 8)
SOME = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

NUMBERS = st.integers(-3, 13) | st.floats() | st.sampled_from([10**9, 10**400, -(1 << 70), 1.5, 64.0])
WORDS = st.sampled_from(["a.png", "m.png", "../a.png", "val", "target", "1", "\ud83d"]) | st.text(max_size=6)
SCALARS = st.none() | st.booleans() | NUMBERS | WORDS
JSON = st.recursive(
    SCALARS,
    lambda of: st.lists(of, max_size=4) | st.dictionaries(st.text(max_size=4), of, max_size=3),
    max_leaves=8,
)
POLYGON = st.just([[1, 1, 5, 1, 5, 5, 1, 5]])
RLE = st.builds(lambda n: {"size": [8, 12], "counts": [n, 4, 92 - n]}, st.integers(0, 92))


def entry(**fields: st.SearchStrategy) -> st.SearchStrategy:
    """An object with these fields, each sometimes missing or anything at all."""
    return st.fixed_dictionaries({}, optional={name: of | JSON for name, of in fields.items()}) | JSON


IDS = st.integers(0, 2) | st.sampled_from(["0", "1", 2.0])
IMAGES = st.lists(
    entry(id=IDS, file_name=st.just("a.png"), width=st.just(12), height=st.just(8)), min_size=1, max_size=3
)
ANNOTATIONS = st.lists(
    entry(id=IDS, image_id=IDS, category_id=IDS, iscrowd=st.sampled_from([0, 1]), segmentation=POLYGON | RLE),
    max_size=4,
)
CATEGORIES = st.lists(entry(id=IDS, name=st.sampled_from(["cup", "dog"])), max_size=3)
COCO = st.fixed_dictionaries(
    {"images": IMAGES | JSON, "annotations": ANNOTATIONS | JSON}, optional={"categories": CATEGORIES | JSON}
)
CORNERS = st.just([[1, 1], [5, 1], [5, 5]]) | st.lists(
    st.lists(st.integers(-2, 14), min_size=2, max_size=2), max_size=4
)
SHAPES = st.lists(
    entry(
        label=st.sampled_from(["target", "ignore", "flag"]),
        points=CORNERS,
        shape_type=st.sampled_from(["polygon", "rectangle", "line"]),
    ),
    max_size=3,
)
LISA = entry(
    text=st.lists(st.text(max_size=5), min_size=1, max_size=2), shapes=SHAPES, imageWidth=st.just(12)
)
REFS = st.lists(
    entry(
        ref_id=st.integers(0, 3),
        split=st.just("val"),
        image_id=IDS,
        ann_id=IDS | st.lists(IDS, max_size=2) | st.just([-1]),
        sentences=st.lists(entry(sent=st.text(max_size=5)), max_size=3),
        no_target=st.booleans(),
    ),
    max_size=3,
)
MASKS = st.just("m.png") | POLYGON | RLE
ROW = entry(
    image=st.just("a.png"),
    question=st.text(max_size=5),
    mask=MASKS,
    masks=st.lists(MASKS, max_size=2),
    id=IDS,
)


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder with a picture and a mask of it."""
    with tempfile.TemporaryDirectory() as name:
        Image.new("RGB", WH, "red").save(Path(name) / "a.png")
        Image.new("L", WH, 255).save(Path(name) / "m.png")
        yield Path(name)


def prepared(source: ModuleType, place: Path, **args: Any) -> Summary | None:
    """What became of a source, what was written read back; None where it could not be used at all."""
    try:
        items, _ = source.read(argparse.Namespace(**args))
        summary = write_dataset(place / "out", items)
    except DatasetError as error:
        assert "\n" not in str(error)
        return None
    if summary.written:
        samples, refused = read_samples(place / "out")
        assert len(samples) == summary.written and not refused
        for sample in samples:
            load_sample(sample)
    return summary


@SOME
@given(found=COCO)
def test_any_coco_file(found: dict):
    with folder() as place:
        (place / "x.json").write_text(json.dumps(found))
        prepared(coco, place, instances=place / "x.json", pictures=place)


@SOME
@given(
    segmentations=st.lists(POLYGON | RLE | JSON, min_size=1, max_size=5),
    images=st.lists(IDS, min_size=5, max_size=5),
)
def test_each_object_of_a_coco_file_is_kept_or_told(segmentations: list, images: list):
    annotations = [
        {"id": 1, "image_id": image, "category_id": 1, "segmentation": segmentation}
        for image, segmentation in zip(images, segmentations, strict=False)
    ]
    found = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": annotations, "categories": []}
    with folder() as place:
        (place / "x.json").write_text(json.dumps(found))
        summary = prepared(coco, place, instances=place / "x.json", pictures=place)
        samples = read_samples(place / "out")[0] if summary.written else []
    told = [each for each in summary.refused if each.where.endswith("annotation 1")]
    assert sum(len(sample.masks) for sample in samples) + len(told) == len(annotations)


@SOME
@given(found=st.lists(LISA, min_size=1, max_size=3))
def test_any_lisa_folder(found: list):
    with folder() as place:
        texts = 0
        for number, each in enumerate(found):
            (place / f"{number}.json").write_text(json.dumps(each))
            Image.new("RGB", WH, (number, 0, 0)).save(place / f"{number}.png")
            text = each.get("text") if isinstance(each, dict) else None
            whole = isinstance(text, list) and text and isinstance(each.get("shapes"), list)
            texts += len(text) if whole else 1
        summary = prepared(lisa, place, folder=place)
        assert summary.written + len(summary.refused) == texts


@SOME
@given(refs=REFS, found=COCO, pickled=st.booleans())
def test_any_refer_file(refs: list, found: dict, pickled: bool):
    with folder() as place:
        (place / "x.json").write_text(json.dumps(found))
        path = place / ("refs.p" if pickled else "refs.json")
        path.write_bytes(pickle.dumps(refs) if pickled else json.dumps(refs).encode())
        prepared(refer, place, refs=path, instances=place / "x.json", pictures=place, split="val")


@SOME
@given(rows=st.lists(ROW, min_size=1, max_size=4))
def test_each_line_of_a_jsonl_is_kept_or_told(rows: list):
    with folder() as place:
        path = place / "q.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        summary = prepared(table, place, table=path)
        assert summary.written + len(summary.refused) == len(rows)
        samples, refused = read_samples(path)  # the local format is JSONL as well
        assert len(samples) + len(refused) == len(rows)
        for sample in samples:
            with suppress(ValueError):  # PictureError, MaskError, OutsideError
                load_sample(sample)


@SOME
@given(
    cells=st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8),
        min_size=1,
        max_size=4,
    ),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_each_row_of_a_csv_is_kept_or_told(cells: list[str], delimiter: str, encoding: str):
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerow([" Image", "QUESTION ", "Mask"])
    writer.writerows(["a.png", cell, "m.png"] for cell in cells)
    with folder() as place:
        (place / "q.csv").write_bytes(buffer.getvalue().encode(encoding))
        summary = prepared(table, place, table=place / "q.csv")
        assert summary.written + len(summary.refused) == len(cells)


@SOME
@given(
    data=st.binary(max_size=60), head=st.sampled_from([b"", b"image,question,mask\n", b"[", b'{"images": '])
)
@pytest.mark.parametrize("source", ["table", "coco", "refer", "lisa"])
def test_any_bytes(source: str, data: bytes, head: bytes):
    with folder() as place:
        for name in ("x.csv", "x.json", "x.p", "x.jsonl"):
            (place / name).write_bytes(head + data)
        if source == "table":
            for name in ("x.csv", "x.json", "x.jsonl"):
                prepared(table, place, table=place / name)
        elif source == "coco":
            prepared(coco, place, instances=place / "x.json", pictures=place)
        elif source == "refer":
            prepared(
                refer, place, refs=place / "x.p", instances=place / "x.json", pictures=place, split="val"
            )
        else:
            prepared(lisa, place, folder=place)


@SOME
@given(text=st.text())
def test_text_in_utf_8_is_never_guessed_at(text: str):
    assert decode(text.encode("utf-8", "ignore")) == (
        text.encode("utf-8", "ignore").decode().removeprefix("\ufeff"),
        "",
    )


@SOME
@given(entry=JSON | MASKS)
def test_any_mask_is_one_or_told(entry: object):
    with folder() as place, suppress(MaskError):
        mask = read_mask(entry, place, WH)
        assert mask.shape == (8, 12) and mask.dtype == bool and mask.any()


@SOME
@given(bits=st.lists(st.booleans(), min_size=96, max_size=96))
def test_run_lengths_there_and_back(bits: list[bool]):
    mask = np.array(bits).reshape(8, 12)
    assert (decode_rle(encode_mask(mask)) == mask).all()
