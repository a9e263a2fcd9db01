"""A folder of pictures and masks with a table that says which belong together: CSV with a header, or JSONL.

    python -m segzero prepare table mine/questions.csv --out data/mine

Columns: image, question, mask; a mask is a PNG's name, several are parted by ";", none means that nothing
matches. Optional: id, kind, ignore (a PNG). In JSONL mask may be an object's COCO run lengths or polygons, or
a list that has a name, run lengths or polygons for each object. Files are relative to the table's folder and
inside it.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segzero.data.dataset import DatasetError, LeftOut, leave_out, read_rows
from segzero.data.dataset_writer import Item
from segzero.pictures import MaskError, load_picture, path_inside, read_mask

COLUMNS = ("image", "question", "mask")


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = commands.add_parser("table", help="pictures and masks with a CSV or JSONL")
    parser.add_argument("table", type=Path, metavar="TABLE", help="a .csv or .jsonl file")
    return parser


def read(args: argparse.Namespace) -> tuple[Iterator[Item | LeftOut], int]:
    path = args.table
    rows = list(read_rows(path) if path.suffix.lower() in (".jsonl", ".json") else _csv_rows(path))
    return (_item(number, row, path.parent) for number, row in rows), len(rows)


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a CSV file with the lines they end on. Raises DatasetError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (table.fieldnames or ())]
            if missing:
                raise DatasetError(
                    f"{path} has no column {' and no column '.join(missing)}; name them in its first line"
                )
            for row in table:
                yield table.line_num, row
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}); check its name") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} is not CSV in UTF-8 ({error}); save it as such") from error


def _item(number: int, row: dict[str, Any] | ValueError, folder: Path) -> Item | LeftOut:
    where = f"line {number}"
    try:
        if isinstance(row, ValueError):
            raise row
        missing = [column for column in COLUMNS if row.get(column) is None]
        if missing:
            raise ValueError(f"no {missing[0]!r}")
        picture = path_inside(folder, str(row["image"]))
        wh = load_picture(picture).size
        masks = [read_mask(entry, folder, wh) for entry in _entries(row["mask"])]
        ignore = read_mask(row["ignore"], folder, wh) if row.get("ignore") else None
    except ValueError as error:
        return leave_out(where, error)
    return Item(
        id=str(row.get("id") or number),
        question=row["question"],
        picture=picture,
        picture_key=str(row["image"]),
        masks=masks,
        ignore=ignore,
        kind=str(row.get("kind") or ""),
    )


def _entries(cell: object) -> list[Any]:
    """The masks a cell names. Raises MaskError."""
    if isinstance(cell, str):
        return [name.strip() for name in cell.split(";") if name.strip()]
    if isinstance(cell, dict) or _is_polygons(cell):
        return [cell]
    if not isinstance(cell, list):
        raise MaskError("it is neither a file's name nor a list")
    return cell


def _is_polygons(cell: object) -> bool:
    """Whether it is one object's polygons, [[x1, y1, …], …], and not a list of objects."""
    return (
        isinstance(cell, list)
        and bool(cell)
        and all(isinstance(part, list) and part and isinstance(part[0], (int, float)) for part in cell)
    )
