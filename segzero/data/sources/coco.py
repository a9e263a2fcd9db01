"""Data in COCO's JSON: its categories as questions, and what refer files need of it.

    python -m segzero prepare coco instances_val2017.json --pictures val2017 --out data/coco-val

A question is the name of a category, its answer all objects of it in the picture; crowds are ignored regions.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segzero.data.dataset import DatasetError, LeftOut, leave_out
from segzero.data.dataset_writer import Item
from segzero.pictures import MaskError, path_inside, read_mask


@dataclass(frozen=True)
class Coco:
    """images, annotations: by id. categories: names by id."""

    images: dict[int, dict[str, Any]]
    annotations: dict[int, dict[str, Any]]
    categories: dict[int, str]

    def masks(self, annotations: Sequence[int]) -> list[np.ndarray]:
        """(H, W) bool of each annotation. Raises MaskError."""
        masks = []
        for number in annotations:
            if number not in self.annotations:
                raise MaskError(f"there is no annotation {number}")
            annotation = self.annotations[number]
            image = self.images.get(annotation.get("image_id"))
            if image is None:
                raise MaskError(f"annotation {number} is about no picture of the file")
            entry = annotation.get("segmentation")
            masks.append(read_mask(entry or None, Path(), (image["width"], image["height"])))
        return masks


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = commands.add_parser("coco", help="COCO JSON, its categories as questions")
    parser.add_argument("instances", type=Path, metavar="JSON", help="such as instances_val2017.json")
    parser.add_argument("--pictures", type=Path, required=True, metavar="FOLDER")
    return parser


def read(args: argparse.Namespace) -> tuple[Iterator[Item | LeftOut], int]:
    coco = read_coco(args.instances)
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, annotation in coco.annotations.items():
        groups[annotation.get("image_id"), annotation.get("category_id")].append(number)
    return (_item(coco, args.pictures, *group) for group in sorted(groups.items())), len(groups)


def read_coco(path: Path) -> Coco:
    """A COCO file. Raises DatasetError when it is none."""
    try:
        found = json.loads(path.read_bytes())
        return Coco(
            images={each["id"]: each for each in found["images"] if each["width"] and each["height"]},
            annotations={each["id"]: each for each in found["annotations"]},
            categories={each["id"]: str(each["name"]) for each in found.get("categories", ())},
        )
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}); check its name") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path} is not COCO's JSON with images and annotations ({type(error).__name__}: {error})"
        ) from error


def _item(coco: Coco, pictures: Path, key: tuple[int, int], annotations: list[int]) -> Item | LeftOut:
    image, category = key
    where = f"{image}-{category}"
    if image not in coco.images or category not in coco.categories:
        return LeftOut(where, "annotations of no picture, or of no category")
    crowds = [number for number in annotations if coco.annotations[number].get("iscrowd")]
    single = [number for number in annotations if number not in crowds]
    if not single:
        return LeftOut(where, "only a crowd")
    name = str(coco.images[image].get("file_name"))
    try:
        masks, ignored, picture = coco.masks(single), coco.masks(crowds), path_inside(pictures, name)
    except ValueError as error:
        return leave_out(where, error)
    return Item(
        id=where,
        question=coco.categories[category],
        picture=picture,
        picture_key=name,
        masks=masks,
        ignore=np.any(ignored, axis=0) if ignored else None,
        kind=coco.categories[category],
    )
