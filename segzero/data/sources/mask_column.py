"""The masks of a column as the datasets library writes them, whatever kind of column it is.

    mask = read_cell(table["mask"][0])                    # (H, W) bool

Rows of booleans, or of whole numbers of which 0 is background (lists, or an Array2D); a PNG (an Image);
COCO's {"size", "counts"}. All else is told: what is between 0 and 1 is somebody's probability, and no mask.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from segzero.pictures import MaskError, decode_png, decode_rle


def read_cell(cell: Any) -> np.ndarray:
    """(H, W) bool of an Arrow scalar. Raises ValueError in a few words."""
    cell = getattr(cell, "value", cell) if hasattr(cell.type, "storage_type") else cell  # an Array2D's lists
    if cell is None or not cell.is_valid:
        raise ValueError("the row has no mask")
    if str(cell.type).startswith("struct"):
        return _described(cell.as_py())
    rows = getattr(cell, "values", None)
    if rows is None or not hasattr(rows, "flatten") or not hasattr(rows, "value_lengths"):
        raise ValueError("the mask is not rows of booleans")
    if not len(rows):
        raise ValueError("the mask has no rows")
    widths = set(rows.value_lengths().to_pylist())
    if len(widths) != 1 or None in widths:
        raise ValueError("the mask's rows are of different lengths")
    return _pixels(rows.flatten()).reshape(len(rows), widths.pop())


def _pixels(values: Any) -> np.ndarray:
    """Arrow numbers as booleans. Raises ValueError."""
    kind = str(values.type)
    if values.null_count or not (
        kind == "bool" or kind.startswith(("int", "uint", "float", "halffloat", "double"))
    ):
        raise ValueError(f"the mask holds {'empty values' if values.null_count else kind[:40]}, not booleans")
    numbers = values.to_numpy(zero_copy_only=False)
    if numbers.dtype.kind == "f" and not (np.isfinite(numbers) & (numbers == np.round(numbers))).all():
        raise ValueError("the mask holds fractions, not booleans; choose a threshold")
    return numbers.astype(bool)


def _described(cell: dict[str, Any]) -> np.ndarray:
    """A mask that is a PNG's bytes, or run lengths. Raises ValueError."""
    try:
        if isinstance(cell.get("bytes"), bytes):
            return decode_png(io.BytesIO(cell["bytes"]), "the mask")
        if "counts" in cell:
            counts = cell["counts"]
            return decode_rle(
                {**cell, "counts": counts.decode("latin1") if isinstance(counts, bytes) else counts}
            )
    except MaskError as error:
        raise ValueError(str(error)) from error
    raise ValueError("the mask is only named, or not one that is known: its bytes are to be in the row")
