"""Write the local format of data (dataset.py), pictures and all, and say what was left out and why.

    summary = write_dataset(Path("data/mine"), items, total=len(items))
    print(summary.report())

Whatever the source, what is written can be read: every picture is opened and every mask held against it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from segzero.contract import check_question
from segzero.data.dataset import DATA_FILE, DatasetError, LeftOut, Remark, leave_out
from segzero.data.left_out import Summary
from segzero.data.picture_store import PictureStore
from segzero.pictures import MaskError, encode_mask, locked

_PART = ".prepare.part"  # what is being written, in the folder itself: moving it is no copy


@dataclass(frozen=True, eq=False)
class Item:
    """A question on its way into the local format.

    picture: a file, the bytes of one, or a picture. picture_key: the same for the same picture; it names the
        file. masks: (H, W) bool of each object, in the upright picture's pixels, or its COCO run lengths as
        `encode_mask` gives them; empty ones are left away.
    ignore, kind, text, expression: see segzero.data.dataset.
    """

    id: str
    question: str
    picture: Path | bytes | Image.Image
    picture_key: str
    masks: Sequence[np.ndarray | dict[str, Any]]
    ignore: np.ndarray | None = None
    kind: str = ""
    text: int = 0
    expression: int = 0


def write_dataset(
    folder: Path, items: Iterable[Item | LeftOut | Remark], total: int | None = None
) -> Summary:
    """Write a new data set, under a progress bar: the whole of it, or nothing when no question is left.

    total: how many items there will be, if that is known.
    Raises DatasetError when the folder holds one already, OSError when another process writes it or the disk
    refuses.
    """
    with locked(folder / DATA_FILE, wait_s=0):
        if (folder / DATA_FILE).exists():
            raise DatasetError(f"{folder / DATA_FILE} is there already; name another folder, or remove it")
        part = folder / _PART
        shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
        (part / "images").mkdir(parents=True)
        try:
            summary, used = _write(folder, part, tqdm(items, total=total, unit="question", desc=folder.name))
            summary.write()
            if summary.written:
                _move(part, folder, used)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return summary


def _write(folder: Path, part: Path, items: Iterable[Item | LeftOut | Remark]) -> tuple[Summary, set[str]]:
    """Write rows and pictures into `part`. Returns what became of them, and the pictures that rows name."""
    there = os.listdir(folder / "images") if (folder / "images").is_dir() else []
    summary, store = Summary(folder), PictureStore(part / "images", taken=there)
    ids, used = set(), set()
    with (part / DATA_FILE).open("w", encoding="utf-8") as file:
        for item in items:
            if isinstance(item, LeftOut):
                summary.refused.append(item)
                continue
            if isinstance(item, Remark):
                summary.remarks.append(item)
                continue
            try:
                if item.id in ids:
                    raise ValueError("a duplicate id")
                row = _row(item, store)
            except ValueError as error:
                summary.refused.append(leave_out(f"id {item.id}", error))
                continue
            ids.add(item.id)
            used.add(Path(row["image"]).name)
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    summary.written, summary.pictures = len(ids), len(used)
    return summary, used


def _move(part: Path, folder: Path, pictures: Iterable[str]) -> None:
    """Bring the pictures to their place, and at last the rows: before them there is no data set."""
    (folder / "images").mkdir(exist_ok=True)
    for name in pictures:
        os.replace(part / "images" / name, folder / "images" / name)
    os.replace(part / DATA_FILE, folder / DATA_FILE)


def _row(item: Item, store: PictureStore) -> dict[str, Any]:
    """The line of an item, its picture saved. Raises ValueError: the item is left out."""
    if any(0xD800 <= ord(char) < 0xE000 for char in f"{item.id}{item.kind}"):
        raise ValueError("half a character")  # JSON can say it, and no file can hold it
    question = check_question(item.question)
    for mask in [*item.masks, *([] if item.ignore is None else [item.ignore])]:
        if isinstance(mask, np.ndarray) and (mask.dtype != bool or mask.ndim != 2):
            raise MaskError(f"{mask.dtype} of shape {mask.shape}, not (H, W) bool")
    name, wh = store.place(item.picture, item.picture_key)
    row = {"id": item.id, "image": f"images/{name}", "question": question}
    masks = [_run_lengths(mask, wh) for mask in item.masks]
    row["masks"] = [mask for mask in masks if mask is not None]
    ignore = None if item.ignore is None else _run_lengths(item.ignore, wh)
    row |= {"ignore": ignore} if ignore else {}
    row |= {"kind": item.kind} if item.kind else {}
    row |= {name: place for name, place in (("text", item.text), ("expression", item.expression)) if place}
    return row


def _run_lengths(mask: np.ndarray | dict[str, Any], wh: tuple[int, int]) -> dict[str, Any] | None:
    """A mask as the file has it, None for an empty one. Raises ValueError when it is of another size."""
    size = list(mask.shape) if isinstance(mask, np.ndarray) else mask["size"]
    if size != [wh[1], wh[0]]:
        raise ValueError("a mask of another size than its picture")
    if isinstance(mask, dict):
        return mask
    return encode_mask(mask) if mask.any() else None
