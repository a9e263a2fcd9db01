"""Masks as columns of a data set hold them: python -m pytest -q tests/data/test_mask_column.py"""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from segzero.data.sources.mask_column import read_cell
from segzero.pictures import encode_mask

pa = pytest.importorskip("pyarrow")

MASK = np.zeros((4, 6), bool)
MASK[1:3, 2:5] = True


def png(mask: np.ndarray, format: str = "PNG") -> dict:
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, format)
    return {"bytes": buffer.getvalue(), "path": None}


STORED = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
LENGTHS = pa.struct([("size", pa.list_(pa.int64())), ("counts", pa.string())])


def rows(kind: pa.DataType) -> pa.DataType:
    return pa.list_(pa.list_(kind))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (MASK.tolist(), rows(pa.bool_())),
        (MASK.tolist(), pa.list_(pa.list_(pa.bool_(), 6), 4)),
        (MASK.tolist(), pa.large_list(pa.large_list(pa.bool_()))),
        ((MASK * 255).tolist(), rows(pa.uint8())),
        ((MASK * 3).tolist(), rows(pa.int64())),
        (MASK.astype(float).tolist(), rows(pa.float32())),
        (MASK.astype(float).tolist(), rows(pa.float64())),
        (png(MASK), STORED),
        (encode_mask(MASK), LENGTHS),
        (encode_mask(MASK), pa.struct([("size", pa.list_(pa.int64())), ("counts", pa.binary())])),
    ],
)
def test_what_is_read(value: object, kind: pa.DataType):
    assert np.array_equal(read_cell(pa.array([value], kind)[0]), MASK)


def test_an_array_2d():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"mask": datasets.Array2D((4, 6), "bool")})
    table = datasets.Dataset.from_dict({"mask": [MASK]}, features=features).with_format("arrow")[:1]
    assert np.array_equal(read_cell(table["mask"][0]), MASK)


@pytest.mark.parametrize(
    ("value", "kind", "told"),
    [
        (None, rows(pa.bool_()), "the row has no mask"),
        ([], rows(pa.bool_()), "has no rows"),
        ([[True], [True, False]], rows(pa.bool_()), "different lengths"),
        ([None, [True]], rows(pa.bool_()), "different lengths"),
        ([[True, None]], rows(pa.bool_()), "empty values"),
        ((MASK * 0.5).tolist(), rows(pa.float32()), "fractions"),
        ([[float("nan"), 1.0]], rows(pa.float64()), "fractions"),
        ([["1"]], rows(pa.string()), "holds string"),
        ([MASK.tolist()], pa.list_(rows(pa.bool_())), "holds list"),
        ([True], pa.list_(pa.bool_()), "not rows of booleans"),
        ("mask.png", pa.string(), "not rows of booleans"),
        (b"\x89PNG", pa.binary(), "not rows of booleans"),
        (True, pa.bool_(), "not rows of booleans"),
        ({"bytes": None, "path": "/etc/passwd"}, STORED, "only named"),
        (png(MASK, "JPEG"), STORED, "cannot be read as PNG"),
        ({"size": [10**9, 10**9], "counts": "1"}, LENGTHS, "megapixels"),
    ],
)
def test_what_is_told(value: object, kind: pa.DataType, told: str):
    with pytest.raises(ValueError, match=told):
        read_cell(pa.array([value], kind)[0])
