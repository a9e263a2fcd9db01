"""ReasonSeg as LISA's authors publish it: a folder with X.jpg beside X.json, which holds polygons and texts.

    python -m segzero prepare lisa ReasonSeg/val --out data/reasonseg-val

Masks are painted as the authors paint them: the largest polygon first, so that smaller ones lie on top of it;
outlines belong to the polygon; "ignore" polygons are neither right nor wrong; "flag" ones mean nothing. All
target polygons together are one mask, for they may be parts of one object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from segzero.data.dataset import DatasetError, LeftOut, leave_out
from segzero.data.dataset_writer import Item
from segzero.pictures import MaskError, load_picture

_TARGET, _IGNORE = 1, 2
_FAR_PX = 1 << 20


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = commands.add_parser("lisa", help="a ReasonSeg folder of pictures and polygons in JSON")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="such as ReasonSeg/val")
    return parser


def read(args: argparse.Namespace) -> tuple[Iterator[Item | LeftOut], int]:
    if not args.folder.is_dir():
        raise DatasetError(f"{args.folder} is no folder; name one split of ReasonSeg, such as ReasonSeg/val")
    files = sorted(args.folder.glob("*.json"))
    if not files:
        raise DatasetError(
            f"{args.folder} holds no .json file; name one split of ReasonSeg, such as ReasonSeg/val"
        )
    found = [(file, _annotation(file)) for file in files]
    total = sum(1 if isinstance(each, ValueError) else len(each.texts) for _, each in found)
    return (item for file, each in found for item in _items(file, each)), total


@dataclass(frozen=True)
class _Annotation:
    """texts: not empty, though what is in them is not known. kind: "sentence" or "phrase"."""

    texts: list[Any]
    kind: str
    shapes: list[Any]


def _items(file: Path, annotation: _Annotation | ValueError) -> Iterator[Item | LeftOut]:
    """One item a text, the first marked so."""
    if isinstance(annotation, ValueError):
        yield leave_out(file.stem, annotation)
        return
    picture = file.with_suffix(".jpg")
    names = [f"{file.stem}-{number}" if number else file.stem for number in range(len(annotation.texts))]
    try:
        target, ignore = paint(annotation.shapes, load_picture(picture).size)
    except ValueError as error:
        yield from (leave_out(name, error) for name in names)
        return
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
        data = file.read_bytes()
        found = json.loads(_decoded(data))
        texts, shapes = found["text"], found["shapes"]
    except (OSError, ValueError, KeyError, TypeError):
        return ValueError("no annotation: an object with text and shapes is expected")
    if not isinstance(texts, list) or not texts or not isinstance(shapes, list):
        return ValueError("no annotation: text and shapes are to be lists, and text not empty")
    return _Annotation(texts, "sentence" if found.get("is_sentence") else "phrase", shapes)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")  # some were written on Windows


def paint(shapes: list[dict[str, Any]], wh: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The target and the ignored region of a picture of size `wh`, (H, W) bool both. Raises MaskError."""
    layers = []
    for shape in shapes:
        label, outline = _shape(shape)
        if label == "flag":
            continue
        layer = np.zeros(wh[::-1], np.uint8)
        cv2.polylines(layer, [outline], isClosed=True, color=1, thickness=1)
        cv2.fillPoly(layer, [outline], color=1)
        layers.append((layer.astype(bool), _IGNORE if "ignore" in label else _TARGET))
    layers.sort(key=lambda layer: layer[0].sum(), reverse=True)
    painted = np.zeros(wh[::-1], np.uint8)
    for layer, value in layers:
        painted[layer] = value
    return painted == _TARGET, painted == _IGNORE


def _shape(shape: Any) -> tuple[str, np.ndarray]:
    """The label in lower case, and the polygon, (N, 2) int32."""
    try:
        label = shape["label"].lower()
        outline = np.array(shape["points"], np.float64).reshape(-1, 2)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MaskError("a shape without a label or without x, y pairs") from error
    if not len(outline) or not (np.abs(outline) < _FAR_PX).all():
        raise MaskError("a polygon without a point, or far outside the picture")
    return label, outline.astype(np.int32)
