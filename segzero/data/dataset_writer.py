"""Write the local format of data (dataset.py), pictures and all, and say what was left out and why.

    summary = write_dataset(Path("data/mine"), items, total=len(items))
    print(summary.report())

Whatever the source, what is written can be read: every picture is opened and every mask held against it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from segzero.contract import check_question
from segzero.data.dataset import DATA_FILE, DatasetError, LeftOut, leave_out
from segzero.pictures import MaskError, PictureError, encode_mask, load_picture, plural

LEFT_OUT_FILE = "left_out.jsonl"
_SHOWN = 3  # examples of a reason in the report


@dataclass(frozen=True, eq=False)
class Item:
    """A question on its way into the local format.

    picture: a file, the bytes of one, or a picture. picture_key: the same for the same picture; it names the
        file. masks: (H, W) bool of each object, in the upright picture's pixels; empty ones are left away.
    ignore, kind, text, expression: see segzero.data.dataset.
    """

    id: str
    question: str
    picture: Path | bytes | Image.Image
    picture_key: str
    masks: Sequence[np.ndarray]
    ignore: np.ndarray | None = None
    kind: str = ""
    text: int = 0
    expression: int = 0


@dataclass
class Summary:
    """What became of a source's rows."""

    folder: Path
    written: int = 0
    pictures: int = 0
    refused: list[LeftOut] = field(default_factory=list)

    def report(self) -> str:
        """Lines for people: what was written, and each reason for leaving something out."""
        what = f"{plural(self.written, 'question')} about {plural(self.pictures, 'picture')}"
        lines = [f"{what}: {self.folder / DATA_FILE}"]
        return "\n".join(lines + tell_left_out(self.refused, self.folder / LEFT_OUT_FILE))


def tell_left_out(refused: Sequence[LeftOut], path: Path | None = None) -> list[str]:
    """Lines that count what was left out, by reason, with examples; path: where all of it stands."""
    if not refused:
        return ["nothing was left out"]
    lines = [f"{len(refused)} left out" + (f", each with its reason in {path}:" if path else ":")]
    for reason, times in Counter(each.reason for each in refused).most_common():
        examples = [
            f"{each.where}{each.detail and f' ({each.detail})'}" for each in refused if each.reason == reason
        ]
        more = " …" if times > _SHOWN else ""
        lines.append(f"  {times} x {reason}: {'; '.join(examples[:_SHOWN])}{more}")
    return lines


def write_left_out(path: Path, refused: Sequence[LeftOut]) -> None:
    """All of what was left out, a line each; no file when that is nothing."""
    if not refused:
        path.unlink(missing_ok=True)
        return
    lines = ({"where": each.where, "reason": each.reason, "detail": each.detail} for each in refused)
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def write_dataset(folder: Path, items: Iterable[Item | LeftOut], total: int | None = None) -> Summary:
    """Write a new data set, under a progress bar. Raises DatasetError when the folder holds one already.

    total: how many items there will be, if that is known.
    """
    if (folder / DATA_FILE).exists():
        raise DatasetError(f"{folder / DATA_FILE} is there already; name another folder, or remove it")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    summary, pictures = Summary(folder), _Pictures(folder / "images")
    ids, used = set(), set()
    part = folder / (DATA_FILE + ".part")
    with part.open("w", encoding="utf-8") as file:
        for item in tqdm(items, total=total, unit="question", desc=folder.name):
            if isinstance(item, LeftOut):
                summary.refused.append(item)
                continue
            try:
                if item.id in ids:
                    raise ValueError("a duplicate id")
                row = _row(item, pictures)
            except ValueError as error:
                summary.refused.append(leave_out(f"id {item.id}", error))
                continue
            ids.add(item.id)
            used.add(Path(row["image"]).name)
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            summary.written += 1
    pictures.keep_only(used)
    summary.pictures = len(used)
    write_left_out(folder / LEFT_OUT_FILE, summary.refused)
    part.replace(folder / DATA_FILE)
    return summary


def _row(item: Item, pictures: _Pictures) -> dict[str, Any]:
    """The line of an item, its picture saved. Raises ValueError: the item is left out."""
    question = check_question(item.question)
    masks = [*item.masks, *([] if item.ignore is None else [item.ignore])]
    for mask in masks:
        if mask.dtype != bool or mask.ndim != 2:
            raise MaskError(f"{mask.dtype} of shape {mask.shape}, not (H, W) bool")
    name, (width, height) = pictures.place(item)
    if any(mask.shape != (height, width) for mask in masks):
        raise ValueError("a mask of another size than its picture")
    row = {"id": item.id, "image": f"images/{name}", "question": question}
    row["masks"] = [encode_mask(mask) for mask in item.masks if mask.any()]
    if item.ignore is not None and item.ignore.any():
        row["ignore"] = encode_mask(item.ignore)
    row |= {"kind": item.kind} if item.kind else {}
    row |= {name: place for name, place in (("text", item.text), ("expression", item.expression)) if place}
    return row


class _Pictures:
    """The pictures of a data set: each opened once, and saved under a name that no other has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, tuple[str, tuple[int, int]] | PictureError] = {}  # key -> name, size
        self._taken: set[str] = set()

    def place(self, item: Item) -> tuple[str, tuple[int, int]]:
        """The file's name in the folder, and its (width, height), upright.

        Raises PictureError, for each of its items, when the picture cannot be used.
        """
        if item.picture_key not in self._known:
            self._known[item.picture_key] = self._save(item)
        known = self._known[item.picture_key]
        if isinstance(known, PictureError):
            raise known
        return known

    def keep_only(self, used: set[str]) -> None:
        """Remove the files of pictures that no item was written for."""
        for name in self._taken - used:
            (self.folder / name).unlink(missing_ok=True)

    def _save(self, item: Item) -> tuple[str, tuple[int, int]] | PictureError:
        name = self._free_name(item)
        path = self.folder / name
        try:
            if isinstance(item.picture, Path):
                size = load_picture(item.picture).size
                _link_or_copy(item.picture, path)
            elif isinstance(item.picture, bytes):
                path.write_bytes(item.picture)
                size = load_picture(path).size
            else:
                upright = load_picture(item.picture)
                size = upright.size
                upright.save(path)
        except PictureError as error:
            return error
        return name, size

    def _free_name(self, item: Item) -> str:
        stem = re.sub(r"[^\w-]+", "_", Path(item.picture_key).stem).strip("_").lower() or "picture"
        ending, number = _ending(item.picture), 1
        name = f"{stem}{ending}"
        while name in self._taken:
            number += 1
            name = f"{stem}-{number}{ending}"
        self._taken.add(name)
        return name


def _ending(picture: Path | bytes | Image.Image) -> str:
    if isinstance(picture, Path):
        return picture.suffix.lower() or ".png"
    if isinstance(picture, Image.Image):
        return ".png"
    return ".jpg" if picture[:2] == b"\xff\xd8" else ".webp" if picture[8:12] == b"WEBP" else ".png"


def _link_or_copy(source: Path, target: Path) -> None:
    """A second name for the same file where the file system can: benchmarks' pictures are many."""
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
