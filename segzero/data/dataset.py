"""The local format of data: a folder of pictures with a JSONL, the same for training and for evaluation.

    samples, refused = read_samples(Path("data/reasonseg-val"))
    loaded = load(samples[0])                       # picture, truth (H, W) bool, ignore

`data.jsonl` has a line for each question, files relative to its folder and inside it:

    {"image": "images/7.jpg", "question": "What could keep me dry?", "masks": [{"size": […], "counts": "…"}]}

masks: one for each object: a PNG's name, COCO run lengths or COCO polygons; [] when nothing matches.
Optional: "id" (else the line's number), "kind" of question, "ignore": a mask of what counts as neither right
nor wrong, "text" and "expression": see Sample. Other keys are not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segzero.contract import QuestionError, check_question
from segzero.pictures import MaskError, PictureError, load_picture, path_inside, read_mask

DATA_FILE = "data.jsonl"
REPORT_FILES = LEFT_OUT_FILE, REMARKS_FILE = (
    "left_out.jsonl",
    "remarks.jsonl",
)  # what `prepare` says of its rows
_MAX_LINE = 1 << 26  # bytes


class DatasetError(ValueError):
    """Data that cannot be used at all: one line that says why and what to do."""


@dataclass(frozen=True)
class LeftOut:
    """A row that cannot be used: where it stands, why in words that other rows share, and its own story."""

    where: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Remark:
    """What was assumed of something that is used: where it stands, what in shared words, its own story."""

    where: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Sample:
    """One question about one picture, its files not yet read.

    image: the picture's name in `folder`. masks: of each object, ignore: as the file has them.
    text: 0 for the first of several wordings that an annotation lists, then 1, 2, …
    expression: the same for several people's expressions for one object.
    """

    id: str
    question: str
    image: str
    folder: Path
    masks: tuple[Any, ...]
    ignore: Any = None
    kind: str = ""
    text: int = 0
    expression: int = 0

    @property
    def path(self) -> Path:
        """The picture's file. Raises OutsideError."""
        return path_inside(self.folder, self.image)


@dataclass(frozen=True, eq=False)
class LoadedSample:
    """A sample's picture, upright RGB, and its truth in the picture's pixels.

    masks: (N, H, W) bool, one for each object. ignore: (H, W) bool or None.
    """

    picture: Image.Image
    masks: np.ndarray
    ignore: np.ndarray | None

    @property
    def truth(self) -> np.ndarray:
        """All objects, (H, W) bool."""
        return self.masks.any(axis=0)


def find_data_file(path: Path) -> Path:
    """The JSONL that a path names, itself or in a folder. Raises DatasetError."""
    if path.is_dir():
        inside = [each for each in sorted(path.glob("[!.]*.jsonl")) if each.name not in REPORT_FILES]
        if (path / DATA_FILE).is_file():
            return path / DATA_FILE
        if len(inside) == 1:
            return inside[0]
        raise DatasetError(
            f"{path} holds no {DATA_FILE}; name its JSONL file, or prepare it (segzero prepare --help)"
        )
    if not path.is_file():
        raise DatasetError(f"{path} is not there; name a folder or JSONL of the local format, or a Hub id")
    return path


def read_samples(path: Path) -> tuple[list[Sample], list[LeftOut]]:
    """The samples of a folder or JSONL, in its order, and the rows that are none.

    Pictures and masks are not opened here; `load` does, and may refuse more. Raises DatasetError.
    """
    path = find_data_file(path)
    samples: dict[str, Sample] = {}
    refused = []
    for number, row in read_rows(path):
        where = f"line {number}"
        try:
            if isinstance(row, ValueError):
                raise row
            sample = _sample(row, str(number), path.parent)
            where = f"{where}, id {sample.id}"
            if sample.id in samples:
                raise ValueError("a duplicate id")
            samples[sample.id] = sample
        except ValueError as error:
            refused.append(leave_out(where, error))
    return list(samples.values()), refused


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | ValueError]]:
    """The lines of a JSONL file but blank ones, with their numbers, each an object or what is wrong with it.

    Raises DatasetError when the file cannot be read.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for without end
            raise DatasetError(f"{path} is not an ordinary file; name the file itself")
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_MAX_LINE):
                number += 1
                if len(line) == _MAX_LINE and not line.endswith(b"\n"):
                    while not (file.readline(_MAX_LINE) or b"\n").endswith(b"\n"):
                        pass
                    yield number, ValueError(f"a line of more than {_MAX_LINE >> 20} MB")
                elif line.strip():
                    yield number, _object(line)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}); check the file") from error


def load_sample(sample: Sample, picture: Image.Image | None = None) -> LoadedSample:
    """Read a sample's files. Raises PictureError, MaskError and OutsideError, all of them ValueErrors.

    picture: what load_picture(sample.path) gave, where that is known already.
    """
    picture = picture or load_picture(sample.path)
    width, height = picture.size
    masks = [read_mask(entry, sample.folder, picture.size) for entry in sample.masks]
    ignore = None if sample.ignore is None else read_mask(sample.ignore, sample.folder, picture.size)
    return LoadedSample(picture, np.stack(masks) if masks else np.zeros((0, height, width), bool), ignore)


def leave_out(where: str, error: ValueError) -> LeftOut:
    """What a converter or an evaluation reports of a sample whose `load` raised."""
    if isinstance(error, PictureError):
        return LeftOut(where, "a picture that cannot be used", str(error))
    if isinstance(error, MaskError):
        return LeftOut(where, "a mask that cannot be used", str(error))
    if isinstance(error, QuestionError):
        return LeftOut(where, "a question that cannot be asked", str(error))
    return LeftOut(where, str(error))


def _object(line: bytes) -> dict[str, Any] | ValueError:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError as well
        return ValueError("not a line of JSON")
    return row if isinstance(row, dict) else ValueError("not a JSON object")


def _sample(row: dict[str, Any], number: str, folder: Path) -> Sample:
    """A row as a Sample. Raises ValueError in a few words."""
    for name in ("image", "question", "masks"):
        if name not in row:
            raise ValueError(f"no {name!r}")
    name, masks, given = row["image"], row["masks"], row.get("id", number)
    if not isinstance(name, str) or not name:
        raise ValueError("'image' is not the name of a file")
    if not isinstance(masks, list):
        raise ValueError("'masks' is not a list")
    if isinstance(given, bool) or not isinstance(given, (str, int)) or given == "":
        raise ValueError("'id' is neither text nor a number")
    if not isinstance(row.get("kind", ""), str):
        raise ValueError("'kind' is not text")
    if any(0xD800 <= ord(char) < 0xE000 for char in f"{name}{given}{row.get('kind', '')}"):
        raise ValueError("half a character")  # JSON can say it, and no file can hold it
    places = [row.get(key, 0) for key in ("text", "expression")]
    if not all(type(place) is int and place >= 0 for place in places):
        raise ValueError("'text' and 'expression' are counted 0, 1, 2, …")
    return Sample(
        id=str(given),
        question=check_question(row["question"]),
        image=name,
        folder=folder,
        masks=tuple(masks),
        ignore=row.get("ignore"),
        kind=row.get("kind", ""),
        text=places[0],
        expression=places[1],
    )
