"""ReasonSeg as LISA's authors publish it: a folder with X.jpg beside X.json, which holds polygons and texts.

    python -m segzero prepare lisa ReasonSeg/val --out data/reasonseg-val

Masks are painted as the authors paint them: the largest polygon first, so that smaller ones lie on top of it;
outlines belong to the polygon; "ignore" polygons are neither right nor wrong; "flag" ones mean nothing. All
target polygons together are one mask, for they may be parts of one object: with a shape that is no area, or
without any target, the annotation is left out. labelme writes such files, too, and its rectangles are read.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from segzero.data.dataset import DatasetError, LeftOut, Remark, leave_out
from segzero.data.dataset_writer import Item
from segzero.data.raw_files import as_side, parse_json, read_bytes
from segzero.pictures import MaskError, Stored, load_picture, path_inside, read_stored

_TARGET, _IGNORE = 1, 2
_FAR_PX = 1 << 20
_MAX_SHAPES, _MAX_CORNERS = 1_000, 100_000  # of a file: each is drawn at the picture's size
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".jfif", ".bmp", ".tif", ".tiff", ".heic", ".gif")
_Area = tuple[np.ndarray, bool]  # an outline, (N, 2) int32, and whether it is ignored


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = commands.add_parser("lisa", help="a ReasonSeg folder of pictures and polygons in JSON")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="such as ReasonSeg/val")
    return parser


def read(args: argparse.Namespace) -> tuple[Iterator[Item | LeftOut | Remark], int]:
    if not args.folder.is_dir():
        raise DatasetError(f"{args.folder} is no folder; name one split of ReasonSeg, such as ReasonSeg/val")
    there = sorted(args.folder.iterdir())
    files = [each for each in there if each.suffix.lower() == ".json" and not each.name.startswith("._")]
    if not files:
        raise DatasetError(
            f"{args.folder} holds no .json file; name one split of ReasonSeg, such as ReasonSeg/val"
        )
    pictures: dict[str, list[Path]] = {}
    for each in there:
        if each.suffix.lower() in _ENDINGS:
            pictures.setdefault(each.stem, []).append(each)
    found = [(file, _annotation(file)) for file in files]
    total = sum(1 if isinstance(each, ValueError) else len(each.texts) for _, each in found)
    return (item for file, each in found for item in _items(file, each, pictures.get(file.stem, []))), total


@dataclass(frozen=True)
class _Annotation:
    """texts: not empty, though what is in them is not known. kind: "sentence" or "phrase".

    wh: the size that labelme measured, None where there is none. remark: on the file's encoding.
    """

    texts: list[Any]
    kind: str
    shapes: list[Any]
    wh: tuple[Any, Any] | None
    remark: str


def _items(
    file: Path, annotation: _Annotation | ValueError, pictures: list[Path]
) -> Iterator[Item | LeftOut | Remark]:
    """One item a text, the first marked so."""
    if isinstance(annotation, ValueError):
        yield leave_out(file.stem, annotation)
        return
    names = [f"{file.stem}-{number}" if number else file.stem for number in range(len(annotation.texts))]
    # ReasonSeg's own ending where there are several; it is missed by its name where there is none.
    picture = min(pictures, key=lambda path: path.suffix != ".jpg", default=file.with_suffix(".jpg"))
    try:
        path_inside(file.parent, picture.name)
        target, ignore, upright = _masks(annotation, picture)
    except ValueError as error:
        yield from (leave_out(name, error) for name in names)
        return
    if annotation.remark:
        yield Remark(file.name, annotation.remark)
    if not upright:
        yield Remark(file.name, "shapes for the picture as it is stored, turned with it")
    for number, (name, text) in enumerate(zip(names, annotation.texts, strict=True)):
        yield Item(
            id=name,
            question=text,
            picture=picture,
            picture_key=picture.name,
            masks=[target],
            ignore=ignore,
            kind=annotation.kind,
            text=number,
        )


def _annotation(file: Path) -> _Annotation | ValueError:
    """What a file says, or what is wrong with it."""
    try:
        path_inside(file.parent, file.name)
        found, remark = parse_json(read_bytes(file))
    except ValueError as error:
        return ValueError(f"no annotation: {error}")
    if not isinstance(found, dict) or "text" not in found or "shapes" not in found:
        return ValueError("no annotation: an object with text and shapes is expected; labelme's have no text")
    texts, shapes = found["text"], found["shapes"]
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not texts or not isinstance(shapes, list):
        return ValueError("no annotation: text and shapes are to be lists, and text not empty")
    wh = as_side(found.get("imageWidth")), as_side(found.get("imageHeight"))
    kind = "sentence" if found.get("is_sentence") else "phrase"
    return _Annotation(texts, kind, shapes, None if None in wh else wh, remark)


def _masks(annotation: _Annotation, picture: Path) -> tuple[np.ndarray, np.ndarray, bool]:
    """The target and the ignored region, (H, W) bool, upright, and whether they were so before.

    Raises MaskError and PictureError.
    """
    load_picture(picture)
    stored, areas = read_stored(picture), _areas(annotation.shapes)
    upright = _is_upright(annotation, areas, stored)
    target, ignore = _painted(areas, stored.upright_wh if upright else stored.wh)
    if not target.any():
        raise MaskError("none of its shapes is a target inside the picture: what it asks for is not marked")
    return (target, ignore, True) if upright else (stored.upright(target), stored.upright(ignore), False)


def _is_upright(annotation: _Annotation, areas: list[_Area], stored: Stored) -> bool:
    """Whether shapes are for the upright picture, as the authors' are, and not for the pixels as stored.

    Raises MaskError when labelme measured another picture.
    """
    if annotation.wh is None:
        reach = np.max([outline.max(axis=0) for outline, _ in areas], axis=0, initial=0)
        return not ((reach > stored.upright_wh).any() and (reach <= stored.wh).all())
    if annotation.wh not in (stored.upright_wh, stored.wh):
        raise MaskError(f"imageWidth and imageHeight are not the picture's size, {stored.upright_wh}")
    return annotation.wh == stored.upright_wh


def paint(shapes: list[dict[str, Any]], wh: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The target and the ignored region of a picture of size `wh`, (H, W) bool both. Raises MaskError."""
    return _painted(_areas(shapes), wh)


def _areas(shapes: list[Any]) -> list[_Area]:
    """What is drawn of a file's shapes. Raises MaskError."""
    areas = [(outline, "ignore" in label) for label, outline in map(_shape, shapes) if label != "flag"]
    if len(areas) > _MAX_SHAPES or sum(len(outline) for outline, _ in areas) > _MAX_CORNERS:
        raise MaskError(f"more than {_MAX_SHAPES:,} shapes or {_MAX_CORNERS:,} points")
    return areas


def _painted(areas: list[_Area], wh: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    drawn = [(cv2.countNonZero(_layer(outline, wh)), outline, ignored) for outline, ignored in areas]
    painted = np.zeros(wh[::-1], np.uint8)
    for _, outline, ignored in sorted(drawn, key=lambda each: each[0], reverse=True):
        painted[_layer(outline, wh).astype(bool)] = _IGNORE if ignored else _TARGET
    return painted == _TARGET, painted == _IGNORE


def _layer(outline: np.ndarray, wh: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8, 1 inside the polygon and on its outline."""
    layer = np.zeros(wh[::-1], np.uint8)
    cv2.polylines(layer, [outline], isClosed=True, color=1, thickness=1)
    cv2.fillPoly(layer, [outline], color=1)
    return layer


def _shape(shape: Any) -> tuple[str, np.ndarray]:
    """The label in lower case, and the polygon, (N, 2) int32; of a flag no polygon. Raises MaskError."""
    label = shape.get("label") if isinstance(shape, dict) else None
    if not isinstance(label, str):
        raise MaskError("a shape without a label")
    label = label.strip().lower()
    if label == "flag":
        return label, np.zeros((0, 2), np.int32)
    kind = shape.get("shape_type") or "polygon"
    try:
        corners = np.array(shape.get("points"), np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise MaskError("a shape without a list of x, y pairs") from error
    if corners.ndim != 2 or corners.shape[1] != 2:
        raise MaskError("a shape without a list of x, y pairs")
    if not len(corners) or not (np.abs(corners) < _FAR_PX).all():
        raise MaskError("a polygon without a point, or far outside the picture")
    if kind == "rectangle" and len(corners) == 2:
        (x1, y1), (x2, y2) = corners
        corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
    elif kind not in ("polygon", "rectangle"):
        kind = f"{kind:.40}" if isinstance(kind, str) else "that is no text"
        raise MaskError(f"a shape of type {kind}: only polygons and rectangles are areas")
    if not _area(corners):
        raise MaskError(f"a {kind} that encloses nothing: a line or a point is no area")
    return label, corners.astype(np.int32)


def _area(corners: np.ndarray) -> float:
    """What a polygon encloses, in square pixels, its corners as they are given."""
    x, y = (corners - corners[0]).T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
