"""The public sets on the Hub, by name, or a folder: of Parquet files, or what datasets' save_to_disk wrote.

python -m segzero prepare hub Ricky06662/ReasonSeg_val --out data/reasonseg-val

Columns: image, text (one, or a list of several wordings), mask (rows of booleans); image_id and ann_id make
the id, and the row's number where other words are about the same object. Others are not looked at: the box is
taken from the mask.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from segzero.data.dataset import DatasetError, LeftOut
from segzero.data.dataset_writer import Item
from segzero.hub import one_line

COLUMNS = ("image", "text", "mask")


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = commands.add_parser("hub", help="a data set of the Hub, or a folder of one")
    parser.add_argument("name", metavar="NAME", help="such as Ricky06662/ReasonSeg_val")
    parser.add_argument("--split", help='which split (default: "test", or the only one)')
    return parser


def read(args: argparse.Namespace) -> tuple[Iterator[Item | LeftOut], int | None]:
    return open_set(args.name, args.split)


def open_set(name: str, split: str | None = None) -> tuple[Iterator[Item | LeftOut], int | None]:
    """The items of a set, and how many, if that is known. Raises DatasetError when it cannot be had."""
    import datasets  # takes a second, and only this source needs it

    try:
        rows = _rows(datasets, name, split)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DatasetError(
            f"{name} cannot be had: {one_line(error)}. Check its name, its split and the network"
        ) from error
    if isinstance(rows, dict):  # of all splits
        if "test" not in rows and len(rows) > 1:
            raise DatasetError(f"{name} has the splits {', '.join(rows)}; choose one with --split")
        rows = rows["test"] if "test" in rows else next(iter(rows.values()))
    missing = [column for column in COLUMNS if column not in rows.column_names]
    if missing:
        raise DatasetError(
            f"{name} has no column {' and no column '.join(missing)}; it has {', '.join(rows.column_names)}"
        )
    # As Arrow: a mask of two million booleans is one array then, and not as many objects.
    several = not isinstance(rows.features["text"], datasets.Value)  # wordings a row, who knows how many
    return _items(rows.with_format("arrow")), None if several else len(rows)


def _rows(datasets: ModuleType, name: str, split: str | None) -> Any:
    """The rows of a split, or of all splits by name."""
    folder = Path(name)
    if not any((folder / kind).is_file() for kind in ("state.json", "dataset_dict.json")):
        return datasets.load_dataset(name, split=split)
    saved = datasets.load_from_disk(name)
    if split is None or not isinstance(saved, dict):
        return saved
    if split not in saved:
        raise ValueError(f"there is no split {split!r}, only {', '.join(saved)}")
    return saved[split]


def _items(rows: Any) -> Iterator[Item | LeftOut]:
    named = [column for column in ("image_id", "ann_id") if column in rows.column_names]
    said: dict[str, Any] = {}  # by id
    for index in range(len(rows)):
        row = rows[index : index + 1]  # a table of one row
        parts = [str(row[column][0].as_py()) for column in named]
        name = "-".join(parts) or str(index)
        picture = row["image"][0].as_py()
        texts = row["text"][0].as_py()
        if said.setdefault(name, texts) != texts:  # a further expression; the same words are a duplicate
            name = f"{name}-row{index}"
        try:
            mask = _mask(row["mask"][0])
            data = _bytes(picture)
        except ValueError as error:
            yield LeftOut(f"row {index}, id {name}", str(error))
            continue
        for number, text in enumerate([texts] if isinstance(texts, str) else texts or [""]):
            yield Item(
                id=f"{name}-{number}" if number else name,
                question=text,
                picture=data,
                picture_key=parts[0] if "image_id" in named else str(index),
                masks=[mask],
                text=number,
            )


def _mask(cell: Any) -> np.ndarray:
    """(H, W) bool of an Arrow list of lists of booleans. Raises ValueError."""
    rows = cell.values if cell.is_valid else None
    if rows is None or not hasattr(rows, "value_lengths"):
        raise ValueError("the mask is not rows of booleans")
    widths = set(rows.value_lengths().to_pylist())
    if len(widths) != 1 or None in widths:
        raise ValueError("the mask's rows are of different lengths")
    pixels = rows.flatten()
    if pixels.null_count or str(pixels.type) not in ("bool", "uint8", "int64", "int32"):
        raise ValueError(f"the mask holds {pixels.type}, not booleans")
    return pixels.to_numpy(zero_copy_only=False).reshape(len(rows), widths.pop()).astype(bool)


def _bytes(picture: Any) -> bytes:
    """The picture's file, of the Hub's {"bytes", "path"}. Raises ValueError."""
    if not isinstance(picture, dict) or not picture.get("bytes"):
        raise ValueError("the row holds no picture")
    return picture["bytes"]
