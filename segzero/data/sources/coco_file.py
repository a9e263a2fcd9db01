"""A file in COCO's JSON as it is found in the field, not as its description has it.

    coco = read_coco(Path("instances.json"))
    coco.annotations[0].category                         # "umbrella"

Ids may be text or numbers, repeat, or be missing: nothing is looked up by an id that stands for two things.
What an entry lacks is found when it is needed, and told then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from segzero.data.dataset import DatasetError
from segzero.data.raw_files import as_flag, as_id, as_side, read_json
from segzero.pictures import MaskError, decode_rle

NO_CATEGORY = "object"  # what is asked for where a file does not say what its objects are
_LOOKED_AT = 100  # crowds of a file, to see whether they are of one piece


@dataclass(frozen=True)
class Picture:
    """name: of its file. wh: (width, height) as the file has it, each None where it is no whole number."""

    name: str
    wh: tuple[int | None, int | None]


@dataclass(frozen=True)
class Annotation:
    """One object, or a crowd.

    name: what messages call it, its id, or its place in the file. picture: its picture's id, None for none.
    category: the name of what it is; "" where the file does not say. crowd: None when that cannot be read.
    """

    name: str
    id: str | None
    picture: str | None
    category: str
    category_id: str | None
    segmentation: Any
    crowd: bool | None
    brushed: bool = False  # CVAT's attributes came with it


@dataclass(frozen=True)
class Coco:
    """A file's parts. pictures: by id. twice: ids that stand for two pictures, and which."""

    pictures: dict[str, Picture]
    twice: dict[str, str]
    annotations: list[Annotation]
    strange: list[str]
    """Entries that are no objects of JSON."""
    brushes: bool
    """Whether crowds are CVAT's brush masks, one object each."""

    def picture(self, number: object) -> Picture:
        """Raises ValueError when an id is that of no picture, or of two."""
        key = as_id(number)
        if key in self.twice:
            raise ValueError(f"the image id stands for two pictures, {self.twice[key]}")
        if key not in self.pictures:
            raise ValueError("a reference to no picture of the COCO file")
        return self.pictures[key]


def read_coco(path: Path) -> Coco:
    """A COCO file. Raises DatasetError when it is none."""
    found = read_json(path, "COCO's JSON")
    if not isinstance(found, dict):
        raise DatasetError(f"{path} is not COCO's JSON: an object with images and annotations is expected")
    lists = {}
    for part in ("images", "annotations", "categories"):
        entries = found.get(part)
        entries = [] if entries is None and part == "categories" else entries
        entries = list(entries.values()) if isinstance(entries, dict) else entries  # LIVECell's are by id
        if not isinstance(entries, list):
            raise DatasetError(f"{path} is not COCO's JSON with images and annotations: {part} is no list")
        lists[part] = entries
    strange = [
        f"{part}, entry {place}"
        for part, entries in lists.items()
        for place, entry in enumerate(entries, start=1)
        if not isinstance(entry, dict)
    ]
    pictures, twice = _pictures(lists["images"])
    names = _category_names(lists["categories"])
    annotations = [_annotation(entry, place, names) for place, entry in _objects(lists["annotations"])]
    return Coco(pictures, twice, annotations, strange, _are_brushes(annotations))


def _objects(entries: list[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    return ((place, entry) for place, entry in enumerate(entries, start=1) if isinstance(entry, dict))


def _pictures(entries: list[Any]) -> tuple[dict[str, Picture], dict[str, str]]:
    pictures: dict[str, Picture] = {}
    twice: dict[str, str] = {}
    for _, entry in _objects(entries):
        key, name = as_id(entry.get("id")), entry.get("file_name")
        if key is None:
            continue
        picture = Picture(
            name if isinstance(name, str) else "", (as_side(entry.get("width")), as_side(entry.get("height")))
        )
        before = pictures.setdefault(key, picture)
        if before != picture:
            twice[key] = f"{before.name:.60} and {picture.name:.60}"
    return pictures, twice


def _category_names(entries: list[Any]) -> dict[str, str]:
    """Names by id; "" for an id that has two, or none that can be asked for."""
    names: dict[str, str] = {}
    for _, entry in _objects(entries):
        key, name = as_id(entry.get("id")), as_id(entry.get("name")) or ""
        if key is not None and names.setdefault(key, name) != name:
            names[key] = ""
    return names


def _annotation(entry: dict[str, Any], place: int, names: dict[str, str]) -> Annotation:
    number, category = as_id(entry.get("id")), entry.get("category_id")
    key = as_id(category)
    spelt = key if isinstance(category, str) and key and not key.lstrip("+-").isdigit() else ""
    attributes = entry.get("attributes")
    return Annotation(
        name=f"annotation {number}" if number else f"annotation without an id, the {place}. of the file",
        id=number,
        picture=as_id(entry.get("image_id")),
        category=names.get(key or "", "") or spelt,
        category_id=key,
        segmentation=entry.get("segmentation"),
        crowd=as_flag(entry.get("iscrowd")),
        brushed=isinstance(attributes, dict) and "occluded" in attributes,
    )


def _are_brushes(annotations: list[Annotation]) -> bool:
    """Whether a file's crowds are what CVAT makes of its brush: one object each, and no crowd at all.

    COCO has one crowd of a category in a picture, usually in pieces and beside single objects. So it is CVAT
    when all have its attributes, when a picture has several of one category, or when each is of one piece and
    none is beside single objects of its category.
    """
    crowds = [each for each in annotations if each.crowd and isinstance(each.segmentation, dict)]
    if not crowds:
        return False
    groups: dict[tuple[str | None, str | None], int] = defaultdict(int)
    for each in crowds:
        groups[each.picture, each.category_id] += 1
    if all(each.brushed for each in crowds) or max(groups.values()) > 1:
        return True
    beside = any((each.picture, each.category_id) in groups for each in annotations if each.crowd is False)
    return not beside and all(_is_one_piece(each.segmentation) for each in crowds[:_LOOKED_AT])


def _is_one_piece(segmentation: dict[str, Any]) -> bool:
    try:
        mask = decode_rle(segmentation)
    except MaskError:
        return True  # it will be told when it is used
    return cv2.connectedComponents(mask.astype(np.uint8))[0] <= 2  # the background is one as well
