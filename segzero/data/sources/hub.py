"""The public sets on the Hub, by name, or a folder: of Parquet files, or what datasets' save_to_disk wrote.

python -m segzero prepare hub Ricky06662/ReasonSeg_val --out data/reasonseg-val

Columns: image, text (one, or a list of several wordings), mask (see mask_column.py); image_id and ann_id make
the id, and the row's number where other words or another picture share it; reasoning_type, which ReasonSeg-X
and ReasonSeg-R have, is the kind of question. Others are not looked at: the box is taken from the mask.
Pictures that a row only names are not looked for: they could be any of this disk's.
"""

from __future__ import annotations

import argparse
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from segzero.data.dataset import DatasetError, LeftOut, Remark
from segzero.data.dataset_writer import Item
from segzero.data.sources.mask_column import read_cell
from segzero.hub import one_line
from segzero.pictures import PictureError, read_stored

COLUMNS, KIND = ("image", "text", "mask"), "reasoning_type"
_ID_CHARS = 200


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = commands.add_parser("hub", help="a data set of the Hub, or a folder of one")
    parser.add_argument("name", metavar="NAME", help="such as Ricky06662/ReasonSeg_val")
    parser.add_argument("--split", help='which split (default: "test", or the only one)')
    return parser


def read(args: argparse.Namespace) -> tuple[Iterator[Item | LeftOut | Remark], int | None]:
    return open_set(args.name, args.split)


def open_set(name: str, split: str | None = None) -> tuple[Iterator[Item | LeftOut | Remark], int | None]:
    """The items of a set, and how many, if that is known. Raises DatasetError when it cannot be had."""
    import datasets  # takes a second, and only this source needs it

    try:
        rows = _rows(datasets, name, split)
    except (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError) as error:
        # The last three: what datasets makes of a state.json or a dataset_info.json that is damaged.
        raise DatasetError(
            f"{name} cannot be had: {one_line(error)}. Check its name, its split and the network"
        ) from error
    except datasets.exceptions.DatasetsError as error:
        raise DatasetError(f"{name} cannot be had: {one_line(error)}. Check its files") from error
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


def _items(rows: Any) -> Iterator[Item | LeftOut | Remark]:
    named = [column for column in ("image_id", "ann_id") if column in rows.column_names]
    said: dict[str, Any] = {}  # by id
    for index in range(len(rows)):
        row = rows[index : index + 1]  # a table of one row
        parts = [str(row[column][0].as_py())[:_ID_CHARS] for column in named]
        name = "-".join(parts) or str(index)
        texts = row["text"][0].as_py()
        try:
            mask = read_cell(row["mask"][0])
            data = _bytes(row["image"][0].as_py())
        except ValueError as error:
            yield LeftOut(f"row {index}, id {name}", str(error))
            continue
        what = (texts, hashlib.sha256(data).digest(), hashlib.sha256(mask.tobytes()).digest())
        if said.setdefault(name, what) != what:  # of something else; the very same row is a duplicate
            name = f"{name}-row{index}"
        kind = str(row[KIND][0].as_py() or "") if KIND in rows.column_names else ""
        mask, turned = _upright(mask, data)
        if turned:
            yield Remark(f"row {index}, id {name}", "a mask for the picture as it is stored, turned with it")
        for number, text in enumerate(texts or [""] if isinstance(texts, list) else [texts]):
            yield Item(
                id=f"{name}-{number}" if number else name,
                question=text,
                picture=data,
                picture_key=parts[0] if "image_id" in named else str(index),
                masks=[mask],
                kind=kind,
                text=number,
            )


def _upright(mask: np.ndarray, picture: bytes) -> tuple[np.ndarray, bool]:
    """A mask in upright pixels, and whether it was turned: one that only fits the picture as stored is."""
    try:
        stored = read_stored(io.BytesIO(picture))
    except PictureError:  # whoever saves the picture will say so
        return mask, False
    wh = mask.shape[::-1]
    if wh == stored.wh != stored.upright_wh:
        return stored.upright(mask), True
    return mask, False


def _bytes(picture: Any) -> bytes:
    """The picture's file, of the Hub's {"bytes", "path"}. Raises ValueError."""
    data = picture.get("bytes") if isinstance(picture, dict) else None
    if not isinstance(data, bytes) or not data:
        raise ValueError("the row holds no picture")
    return data
