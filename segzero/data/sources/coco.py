"""Data in COCO's JSON: its categories as questions.

    python -m segzero prepare coco instances_val2017.json --pictures val2017 --out data/coco-val

A question is the name of a category, its answer all objects of it in the picture; crowds are ignored regions.
An object without a usable mask is left out, and told. Labels may be for the picture as its file holds it, or
as EXIF turns it: the size in the JSON says which.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from segzero.data.dataset import LeftOut, Remark, leave_out
from segzero.data.dataset_writer import Item
from segzero.data.raw_files import find_file
from segzero.data.sources.coco_file import NO_CATEGORY, Annotation, Coco, Picture, read_coco
from segzero.pictures import MaskError, OutsideError, Stored, encode_mask, path_inside, read_mask, read_stored

_ASKED_AS_OBJECT = f"a category without a name, asked for as {NO_CATEGORY!r}"
_TAKEN_AS_OBJECTS = "iscrowd 1 taken as one object each, as CVAT's brush writes them"


@dataclass(frozen=True)
class Found:
    """A picture on this disk. upright: whether its labels are for the upright one, None if not known."""

    path: Path
    stored: Stored
    upright: bool | None
    remarks: tuple[str, ...] = ()

    def mask(self, segmentation: object) -> np.ndarray:
        """(H, W) bool in the upright picture's pixels. Raises MaskError."""
        if not segmentation:
            raise MaskError("it has no segmentation")
        if isinstance(segmentation, str):
            raise MaskError("its segmentation is text, not polygons or run lengths")
        upright = self.upright
        if upright is None:  # run lengths have a size of their own
            size = segmentation.get("size") if isinstance(segmentation, dict) else None
            upright = size != [*self.stored.wh[::-1]] or self.stored.wh == self.stored.upright_wh
        if upright:
            return read_mask(segmentation, self.path.parent, self.stored.upright_wh)
        return self.stored.upright(read_mask(segmentation, self.path.parent, self.stored.wh))


class Pictures:
    """Where a JSON's pictures lie: in a folder, by name, or by the last part of it where that is unique."""

    def __init__(self, coco: Coco, folder: Path) -> None:
        self._folder = folder
        self._last = Counter(
            _last(each.name) for each in {p.name: p for p in coco.pictures.values()}.values()
        )

    def find(self, picture: Picture) -> Found:
        """Raises ValueError: PictureError, OutsideError, or a size that is not the picture's."""
        if not picture.name:
            raise ValueError("an image without a file_name")
        name, remarks = self._name(picture.name), []
        if name != picture.name.replace("\\", "/"):
            remarks.append(f"a picture found by the last part of its name alone: {name}")
        path = path_inside(self._folder, name)
        stored = read_stored(path)
        fits = [
            all(told in (None, side) for told, side in zip(picture.wh, wh, strict=True))
            for wh in (stored.upright_wh, stored.wh)
        ]
        if not any(fits):
            raise ValueError(
                f"an image's size in the JSON is not its file's: {_size(picture.wh)}, not {_size(stored.wh)}"
            )
        upright = fits[0] if stored.turn is None or fits[0] != fits[1] else None
        if upright is None:
            remarks.append(
                "EXIF turns the picture, and its size does not say for which way: taken as upright"
            )
        return Found(path, stored, upright, tuple(remarks))

    def _name(self, name: str) -> str:
        try:
            found = find_file(self._folder, name)
            if path_inside(self._folder, found).exists():
                return found
        except OutsideError:
            found = name
        last = _last(name)
        if self._last[last] == 1 and path_inside(self._folder, last).is_file():
            return last
        return found


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = commands.add_parser("coco", help="COCO JSON, its categories as questions")
    parser.add_argument("instances", type=Path, metavar="JSON", help="such as instances_val2017.json")
    parser.add_argument("--pictures", type=Path, required=True, metavar="FOLDER")
    return parser


def read(args: argparse.Namespace) -> tuple[Iterator[Item | LeftOut | Remark], int]:
    coco = read_coco(args.instances)
    first: dict[
        Picture, str
    ] = {}  # merged files have a picture under several ids: its objects belong together
    same = {key: first.setdefault(picture, key) for key, picture in coco.pictures.items() if picture.name}
    same |= {key: key for key in coco.twice}
    groups: dict[str | None, dict[str, list[Annotation]]] = defaultdict(lambda: defaultdict(list))
    for each in coco.annotations:
        groups[same.get(each.picture, each.picture)][each.category or NO_CATEGORY].append(each)
    return _all(coco, Pictures(coco, args.pictures), groups), sum(map(len, groups.values()))


def _all(
    coco: Coco, pictures: Pictures, groups: dict[str | None, dict[str, list[Annotation]]]
) -> Iterator[Item | LeftOut | Remark]:
    yield from (LeftOut(where, "an entry that is no object of JSON") for where in coco.strange)
    for image, questions in sorted(groups.items(), key=lambda group: _order(group[0])):
        try:
            found = pictures.find(coco.picture(image))
        except ValueError as error:
            lost = [each for objects in questions.values() for each in objects]
            yield from (leave_out(f"{_name(image, each)}, {each.name}", error) for each in lost)
            continue
        yield from (Remark(f"image {image}", remark) for remark in found.remarks)
        for category, objects in questions.items():
            yield from _question(coco, found, image, category, objects)


def _question(
    coco: Coco, found: Found, image: str | None, category: str, objects: list[Annotation]
) -> Iterator[Item | LeftOut | Remark]:
    """What is said of single objects, then the question about those that can be used."""
    where = _name(image, objects[0])
    masks, ignored = [], None
    for each in objects:
        if each.crowd is None:
            yield LeftOut(f"{where}, {each.name}", "iscrowd is neither 0 nor 1")
            continue
        try:
            mask = found.mask(each.segmentation)
        except ValueError as error:
            yield leave_out(f"{where}, {each.name}", error)
            continue
        if each.crowd and not coco.brushes:
            ignored = mask if ignored is None else ignored | mask
            continue
        masks.append(encode_mask(mask))
        if each.crowd:
            yield Remark(f"{where}, {each.name}", _TAKEN_AS_OBJECTS)
        if each.picture != image:
            yield Remark(f"{where}, {each.name}", f"image {each.picture} is the same file, taken together")
        if not each.category:
            yield Remark(f"{where}, {each.name}", _ASKED_AS_OBJECT)
    if not masks:
        only = "only a crowd" if ignored is not None else "a question of which no object can be used"
        yield LeftOut(where, only)
        return
    name = found.path.name
    yield Item(where, category, found.path, name, masks, ignored, kind=category)


def _name(image: str | None, annotation: Annotation) -> str:
    return f"{image}-{annotation.category_id if annotation.category else NO_CATEGORY}"


def _order(image: str | None) -> tuple[bool, int, str]:
    """Numbers by their value, then text."""
    number = image is not None and image.lstrip("-").isascii() and image.lstrip("-").isdigit()
    return not number, int(image) if number else 0, image or ""


def _last(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).name


def _size(wh: tuple[int | None, int | None]) -> str:
    return " x ".join(
        "?" if side is None else str(side) if side < 10**12 else "more than 10^12" for side in wh
    )
