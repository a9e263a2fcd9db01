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
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from segzero.dataset import DatasetError, LeftOut, left_out
from segzero.dataset_writer import Item
from segzero.masks import MaskError
from segzero.picture import load_picture

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
    return (item for file in files for item in _items(file)), len(files)


def _items(file: Path) -> Iterator[Item | LeftOut]:
    """One item a text, the first marked so."""
    picture = file.with_suffix(".jpg")
    try:
        texts, kind, shapes = _annotation(file)
        target, ignore = paint(shapes, load_picture(picture).size)
    except ValueError as error:
        yield left_out(file.stem, error)
        return
    for number, text in enumerate(texts):
        yield Item(
            id=f"{file.stem}-{number}" if number else file.stem,
            question=text,
            picture=picture,
            picture_key=picture.name,
            masks=[target],
            ignore=ignore,
            kind=kind,
            text=number,
        )


def _annotation(file: Path) -> tuple[list[str], str, list[dict[str, Any]]]:
    """Texts, "sentence" or "phrase", shapes. Raises ValueError."""
    data = file.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")  # some were written on Windows
    try:
        found = json.loads(text)
        texts, shapes = found["text"], found["shapes"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("no annotation: an object with text and shapes is expected") from error
    if not isinstance(texts, list) or not texts or not isinstance(shapes, list):
        raise ValueError("no annotation: text and shapes are to be lists, and text not empty")
    return texts, "sentence" if found.get("is_sentence") else "phrase", shapes


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
