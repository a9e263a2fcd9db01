"""A folder of pictures and masks with a table that says which belong together: CSV with a header, or JSONL.

    python -m segzero prepare table mine/questions.csv --out data/mine

Columns: image, question, mask; a mask is a PNG's name, several are parted by ";", none means that nothing
matches. Optional: id, kind, ignore (a PNG). A mask may also be an object's COCO run lengths or polygons, or a
list that has a name, run lengths or polygons for each object; in CSV these are written as JSON. Files are
relative to the table's folder and inside it. A CSV may come from Excel, in any language: its delimiter and
encoding are found out, and columns are known by their names without case and blanks.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segzero.data.dataset import DatasetError, LeftOut, Remark, leave_out, read_rows
from segzero.data.dataset_writer import Item
from segzero.data.raw_files import as_id, decode, find_file, read_bytes, read_json
from segzero.pictures import MaskError, load_picture, path_inside, read_mask

COLUMNS = ("image", "question", "mask")
_OTHERS = ("id", "kind", "ignore")
_DELIMITERS = ",;\t|"
_MAX_CELL = 1 << 24  # characters: run lengths of a large mask are long
_Row = dict[str, Any] | ValueError


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = commands.add_parser("table", help="pictures and masks with a CSV or JSONL")
    parser.add_argument("table", type=Path, metavar="TABLE", help="a .csv or .jsonl file")
    return parser


def read(args: argparse.Namespace) -> tuple[Iterator[Item | LeftOut | Remark], int]:
    path, remarks = args.table, []
    if path.suffix.lower() in (".jsonl", ".json"):
        rows = _json_rows(path)
    else:
        rows, remarks = _csv_rows(path)
    if not rows:
        raise DatasetError(f"{path} holds no row; a line for each question is expected")
    names = _ids(rows)
    items = (_item(f"line {line}", row, names.get(line, ""), path.parent) for line, row in rows)
    return (each for part in (remarks, items) for each in part), len(rows)


def _json_rows(path: Path) -> list[tuple[int, _Row]]:
    """The lines of a JSONL file, or the entries of a list, with their numbers. Raises DatasetError."""
    if path.suffix.lower() == ".json" and read_bytes(path).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        entries = read_json(path)
        return [
            (number, entry if isinstance(entry, dict) else ValueError("not a JSON object"))
            for number, entry in enumerate(entries, start=1)
        ]
    return list(read_rows(path))


def _csv_rows(path: Path) -> tuple[list[tuple[int, _Row]], list[Remark]]:
    """The rows of a CSV with the lines they end on, and a remark on its encoding. Raises DatasetError."""
    try:
        text, remark = decode(read_bytes(path))
        lines = text.count("\n")
        text = text.lstrip("\r\n")
        header, _, rest = text.partition("\n")
        chosen = header.strip().removeprefix("sep=") if header.startswith("sep=") else ""  # Excel's own line
        if chosen:
            text, header = rest, rest.partition("\n")[0]
        skipped = lines - text.count("\n")
        delimiter = chosen if len(chosen) == 1 else _delimiter(header.replace("\r", "\n").partition("\n")[0])
        csv.field_size_limit(_MAX_CELL)
        table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        columns = _columns(path, next(table, []))
        rows = [
            (table.line_num + skipped, _row(cells, columns))
            for cells in table
            if any(cell.strip() for cell in cells)  # Excel keeps rows that were emptied
        ]
    except DatasetError:
        raise
    except (csv.Error, ValueError) as error:
        raise DatasetError(f"{path} is not CSV in UTF-8 ({error}); save it as such") from error
    return rows, [Remark(path.name, remark)] if remark else []


def _delimiter(header: str) -> str:
    try:
        return csv.Sniffer().sniff(header, delimiters=_DELIMITERS).delimiter
    except csv.Error:  # one column, or none: what is missing is said by its name
        return ","


def _columns(path: Path, header: list[str]) -> list[str]:
    """Names without case and blanks. Raises DatasetError when one is missing or there twice."""
    columns = ["".join(name.split()).casefold() for name in header]
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        raise DatasetError(
            f"{path} has no column {' and no column '.join(missing)}; name them in its first line"
        )
    twice = [column for column in (*COLUMNS, *_OTHERS) if columns.count(column) > 1]
    if twice:
        raise DatasetError(f"{path} has the column {twice[0]} twice; keep one of them")
    return columns


def _row(cells: list[str], columns: list[str]) -> _Row:
    if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
        return ValueError("more cells than columns; put quotation marks around text with a delimiter")
    return {column: cell.strip() for column, cell in zip(columns, cells, strict=False)}


def _ids(rows: list[tuple[int, _Row]]) -> dict[int, str]:
    """An id for each row, by its number: its own, else the number, unless that is another row's own."""
    own = {line: key for line, row in rows if isinstance(row, dict) and (key := as_id(row.get("id")))}
    taken = set(own.values())
    return {line: own.get(line) or (f"line-{line}" if str(line) in taken else str(line)) for line, _ in rows}


def _item(where: str, row: _Row, name: str, folder: Path) -> Item | LeftOut:
    try:
        if isinstance(row, ValueError):
            raise row
        missing = [column for column in COLUMNS if row.get(column) is None]
        if missing:
            raise ValueError(f"no {missing[0]!r}")
        if row.get("id") not in (None, "") and as_id(row["id"]) is None:
            raise ValueError("'id' is neither text nor a number")
        if not isinstance(row["image"], str) or not row["image"].strip():
            raise ValueError("'image' is not the name of a file")
        if not isinstance(row.get("kind") or "", str):
            raise ValueError("'kind' is not text")
        image = find_file(folder, row["image"])
        picture = path_inside(folder, image)
        wh = load_picture(picture).size
        masks = [_mask(entry, folder, wh) for entry in _entries(row["mask"])]
        ignore = _mask(row["ignore"], folder, wh) if row.get("ignore") else None
    except ValueError as error:
        return leave_out(where, error)
    return Item(
        id=name,
        question=row["question"],
        picture=picture,
        picture_key=image,
        masks=masks,
        ignore=ignore,
        kind=row.get("kind") or "",
    )


def _mask(entry: Any, folder: Path, wh: tuple[int, int]) -> Any:
    """(H, W) bool. Raises MaskError and OutsideError."""
    return read_mask(find_file(folder, entry) if isinstance(entry, str) else entry, folder, wh)


def _entries(cell: object) -> list[Any]:
    """The masks a cell names. Raises MaskError."""
    if isinstance(cell, str) and cell.lstrip().startswith(("{", "[")):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError) as error:
            raise MaskError("it is neither a file's name nor whole JSON") from error
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
