"""RefCOCO, RefCOCO+, RefCOCOg and gRefCOCO from their own files: refs(…).p or grefs(…).json, and COCO's JSON.

    python -m segzero prepare refer "refcoco/refs(unc).p" refcoco/instances.json --pictures train2014 \\
        --split testA --out data/refcoco-testA

Each expression is a question. gRefCOCO's may name several objects, and is left out unless all of them are
there, or none: [-1], or no_target. The pickles are not unpickled as they come: see plain_pickle.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segzero.data.dataset import DatasetError, LeftOut, Remark, leave_out
from segzero.data.dataset_writer import Item
from segzero.data.raw_files import as_flag, as_id, read_json
from segzero.data.sources.coco import Found, Pictures
from segzero.data.sources.coco_file import Annotation, Coco, read_coco
from segzero.data.sources.plain_pickle import load_plain
from segzero.pictures import MaskError, encode_mask


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = commands.add_parser("refer", help="RefCOCO / + / g and gRefCOCO, from their refer files")
    parser.add_argument("refs", type=Path, metavar="REFS", help="such as refs(unc).p or grefs(unc).json")
    parser.add_argument("instances", type=Path, metavar="JSON", help="the instances.json beside it")
    parser.add_argument("--pictures", type=Path, required=True, metavar="FOLDER", help="COCO's train2014")
    parser.add_argument("--split", default="val", help="val, test, testA, testB or train (default: val)")
    return parser


def read(args: argparse.Namespace) -> tuple[Iterator[Item | LeftOut | Remark], int]:
    refs = read_refs(args.refs)
    chosen = [ref for ref in refs if ref.get("split") == args.split]
    if not chosen:
        splits = ", ".join(sorted({split for ref in refs if isinstance(split := ref.get("split"), str)})[:20])
        raise DatasetError(f"{args.refs} has no split {args.split!r}; choose one of {splits:.200}")
    coco = read_coco(args.instances)
    refer = _Refer(coco, Pictures(coco, args.pictures), _by_id(coco))
    return (item for ref in chosen for item in refer.items(ref)), sum(
        len(_sentences(ref)) or 1 for ref in chosen
    )


def read_refs(path: Path) -> list[dict[str, Any]]:
    """The references of a refer file. Raises DatasetError."""
    refs = read_json(path) if path.suffix.lower() == ".json" else load_plain(path)
    if not isinstance(refs, list) or not all(isinstance(ref, dict) for ref in refs):
        raise DatasetError(f"{path} is no list of references; name the refs(…) file itself")
    # A pickle may use a part many times over, and say more than anybody can read in a few bytes.
    if sum(len(_sentences(ref)) + len(_objects(ref)) for ref in refs) > path.stat().st_size:
        raise DatasetError(f"{path} repeats its parts beyond its own length; it is no refer file")
    return refs


def _by_id(coco: Coco) -> dict[str, list[Annotation]]:
    found: dict[str, list[Annotation]] = {}
    for each in coco.annotations:
        if each.id is not None:
            found.setdefault(each.id, []).append(each)
    return found


def _sentences(ref: dict[str, Any]) -> list[Any]:
    sentences = ref.get("sentences")
    return sentences if isinstance(sentences, list) else []


def _objects(ref: dict[str, Any]) -> list[Any]:
    """What a reference is to: [] for nothing that is given."""
    given = ref.get("ann_id")
    return given if isinstance(given, list) else [] if given is None else [given]


@dataclass(frozen=True)
class _Refer:
    """What references are looked up in."""

    coco: Coco
    pictures: Pictures
    annotations: dict[str, list[Annotation]]

    def items(self, ref: dict[str, Any]) -> Iterator[Item | LeftOut | Remark]:
        """An item for each expression of a reference."""
        number, sentences = as_id(ref.get("ref_id")), _sentences(ref)
        if number is None or not sentences:
            yield LeftOut(
                f"ref {number or 'without an id'}", "an incomplete reference", "no ref_id or sentences"
            )
            return
        names = [f"{number}-{place}" for place in range(len(sentences))]
        try:
            found = self.pictures.find(self.coco.picture(ref.get("image_id")))
            masks = self._masks(ref, found)
        except ValueError as error:
            yield from (leave_out(f"ref {name}", error) for name in names)
            return
        yield from (Remark(f"ref {number}", remark) for remark in found.remarks)
        kind = "several" if len(masks) > 1 else "one" if masks else "none"
        for place, (name, sentence) in enumerate(zip(names, sentences, strict=True)):
            yield Item(
                id=name,
                question=sentence.get("sent") if isinstance(sentence, dict) else None,
                picture=found.path,
                picture_key=found.path.name,
                masks=masks,
                kind=kind,
                expression=place,
            )

    def _masks(self, ref: dict[str, Any], found: Found) -> list[dict[str, Any]]:
        """Run lengths of each object, [] where nothing matches. Raises MaskError and ValueError."""
        objects = [each for each in _objects(ref) if each not in (None, -1)]
        marked = as_flag(ref.get("no_target")) or _objects(ref) == [-1]
        if marked and objects:
            raise ValueError("a reference with objects, marked as having none")
        if marked:
            return []
        if not objects or len(objects) < len(_objects(ref)):
            raise ValueError("a reference without its objects, not marked as having none")
        return [self._mask(each, ref, found) for each in objects]

    def _mask(self, number: Any, ref: dict[str, Any], found: Found) -> dict[str, Any]:
        key = as_id(number)
        same = self.annotations.get(key or "", [])
        if len(same) != 1:
            raise MaskError(
                f"there is no annotation {key}" if not same else f"there are {len(same)} annotations {key}"
            )
        if same[0].picture != as_id(ref["image_id"]):
            raise MaskError(f"annotation {key} is about image {same[0].picture}, the reference about another")
        try:
            return encode_mask(found.mask(same[0].segmentation))
        except MaskError as error:
            raise MaskError(f"annotation {key}: {error}") from error
