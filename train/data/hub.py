"""Rows from a set with the public ones' columns: problem, solution, image, and id, img_width, img_height.

    rows = list(hub_rows(datasets.load_dataset("owner/name", split="train"), preset, Path("runs/data")))

Its solutions are in pixels of the published frame, in either dialect.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import datasets
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from segzero.contract import SEG_ZERO_7B, Preset, QuestionError, check_question
from segzero.data import LeftOut
from segzero.pictures import PictureError, load_picture
from train.data.rows import Row, Unusable, frame_solution
from train.solution import read_solution

COLUMNS = ("problem", "solution", "image")
PUBLISHED_WH = (SEG_ZERO_7B.frame.numbers_px,) * 2


def hub_rows(dataset: datasets.Dataset, preset: Preset, folder: Path) -> Iterator[Row | LeftOut]:
    """A row for each of the set's. Its pictures become files of `folder`, once: rows then carry a path.

    Decoding is left to whoever trains, once a picture; a set that decodes would do so at each look at a row.
    """
    for number, record in enumerate(tqdm(dataset, desc="reading", unit="row", disable=None)):
        name = str(record.get("id", number))
        try:
            yield _row(record, name, preset, folder)
        except Unusable as error:
            yield error.left_out(name)


def undecoded(dataset: datasets.Dataset) -> datasets.Dataset:
    """The set with its pictures as they are stored. Raises ValueError when columns are missing."""
    missing = [column for column in COLUMNS if column not in dataset.column_names]
    if missing:
        raise ValueError(f"it has no column {', '.join(missing)}, only {', '.join(dataset.column_names)}")
    return dataset.cast_column("image", datasets.Image(decode=False))


def _row(record: dict, name: str, preset: Preset, folder: Path) -> Row:
    try:
        question = check_question(record["problem"])
    except QuestionError as error:
        raise Unusable("it has no question", error) from error
    try:
        dialect, targets = read_solution(record["solution"])
    except (TypeError, ValueError) as error:
        raise Unusable("the solution cannot be read", error) from error
    if dialect is preset.dialect and preset.frame == SEG_ZERO_7B.frame:
        solution = record["solution"]  # to the letter: the published rewards read this very text
    else:
        solution = frame_solution(targets, PUBLISHED_WH, preset)
    path, wh = _stored(record["image"], folder)
    wh = (record.get("img_width") or wh[0], record.get("img_height") or wh[1])
    return Row(name, str(path), question, solution, wh)


def _stored(picture: dict | None, folder: Path) -> tuple[Path, tuple[int, int]]:
    """The file of a stored picture, {"bytes", "path"}, and its size; named by its content, written once."""
    if not picture or not (picture["bytes"] or picture["path"]):
        raise Unusable("there is no picture")
    data = picture["bytes"]
    if not data:
        return Path(picture["path"]), _size(picture["path"])
    path = folder / f"{hashlib.sha256(data).hexdigest()[:24]}.img"
    if path.exists():
        with Image.open(path) as image:
            return path, image.size
    size = _size(io.BytesIO(data))
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_bytes(data)
    os.replace(part, path)  # whole or not there, also when several processes write it
    return path, size


def _size(source: str | io.BytesIO) -> tuple[int, int]:
    """(width, height) of a picture that can be decoded to its end."""
    try:
        if isinstance(source, str):
            return load_picture(source).size
        with Image.open(source) as image:
            return load_picture(image).size
    except (
        PictureError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        SyntaxError,
    ) as error:
        raise Unusable("the picture cannot be read", error) from error
