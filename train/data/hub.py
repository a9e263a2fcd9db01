"""Rows from a set with the public ones' columns: problem, solution, image, and id, img_width, img_height.

    rows = list(hub_rows(datasets.load_dataset("owner/name", split="train"), preset, Path("runs/data")))

Its solutions are in pixels of the published frame, in either dialect.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import datasets
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from segzero.contract import SEG_ZERO_7B, Preset, QuestionError, check_question
from segzero.data import LeftOut
from segzero.pictures import PictureError, keep_whole, load_picture
from train.data.rows import Row, Unusable, frame_solution
from train.solution import read_solution

COLUMNS = ("problem", "solution", "image")
_MOST_PX = 1 << 31  # what a column of the dataset holds
PUBLISHED_WH = (SEG_ZERO_7B.frame.numbers_px,) * 2


def hub_rows(dataset: datasets.Dataset, preset: Preset, folder: Path) -> Iterator[Row | LeftOut]:
    """A row for each of the set's. Its pictures become files of `folder`, once: rows then carry a path.

    Decoding is left to whoever trains, once a picture; a set that decodes would do so at each look at a row.
    """
    for number, record in enumerate(tqdm(dataset, desc="reading", unit="row", disable=None)):
        name = str(number if record.get("id") is None else record["id"])
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
    except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise Unusable("the solution cannot be read", error) from error
    if dialect is preset.dialect and preset.frame == SEG_ZERO_7B.frame:
        solution = record["solution"]  # to the letter: the published rewards read this very text
    else:
        solution = frame_solution(targets, PUBLISHED_WH, preset)
    path, wh = _stored(record["image"], folder)
    return Row(name, str(path), question, solution, _told_wh(record, wh))


def _stored(picture: dict | None, folder: Path) -> tuple[Path, tuple[int, int]]:
    """The file of a stored picture, {"bytes", "path"}, and its size; named by its content, written once.

    A path alone is not followed: it could be that of any picture on this disk, and a set brings its own.
    """
    data = picture.get("bytes") if isinstance(picture, dict) else None
    if not data:
        raise Unusable("there is no picture")
    path = folder / f"{hashlib.sha256(data).hexdigest()[:24]}.img"
    size = _size(data)
    folder.mkdir(parents=True, exist_ok=True)
    keep_whole(path, data)
    return path, size


def _size(data: bytes) -> tuple[int, int]:
    """(width, height) of a picture that can be decoded to its end."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return load_picture(image).size
    except (
        PictureError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        ValueError,
        SyntaxError,
    ) as error:
        raise Unusable("the picture cannot be read", error) from error


def _told_wh(record: dict, wh: tuple[int, int]) -> tuple[int, int]:
    """The original picture's size, that of the stored one where the set does not say."""
    told = tuple(record.get(name) or side for name, side in zip(("img_width", "img_height"), wh, strict=True))
    if not all(isinstance(side, (int, float)) and 0 < side < _MOST_PX and side == int(side) for side in told):
        raise Unusable("img_width and img_height are no size", f"{told!r:.80}")
    return int(told[0]), int(told[1])
