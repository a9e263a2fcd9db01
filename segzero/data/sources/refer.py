"""RefCOCO, RefCOCO+, RefCOCOg and gRefCOCO from their own files: refs(…).p or grefs(…).json, and COCO's JSON.

    python -m segzero prepare refer "refcoco/refs(unc).p" refcoco/instances.json --pictures train2014 \\
        --split testA --out data/refcoco-testA

Each expression is a question. gRefCOCO's may name several objects, or none. The pickles are not unpickled as
they come: see plain_pickle.py.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segzero.data.dataset import DatasetError, LeftOut, leave_out
from segzero.data.dataset_writer import Item
from segzero.data.sources.coco import Coco, read_coco
from segzero.data.sources.plain_pickle import load_plain
from segzero.pictures import path_inside


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = commands.add_parser("refer", help="RefCOCO / + / g and gRefCOCO, from their refer files")
    parser.add_argument("refs", type=Path, metavar="REFS", help="such as refs(unc).p or grefs(unc).json")
    parser.add_argument("instances", type=Path, metavar="JSON", help="the instances.json beside it")
    parser.add_argument("--pictures", type=Path, required=True, metavar="FOLDER", help="COCO's train2014")
    parser.add_argument("--split", default="val", help="val, test, testA, testB or train (default: val)")
    return parser


def read(args: argparse.Namespace) -> tuple[Iterator[Item | LeftOut], int]:
    refs = read_refs(args.refs)
    chosen = [ref for ref in refs if ref.get("split") == args.split]
    if not chosen:
        splits = ", ".join(sorted({str(ref.get("split")) for ref in refs}))
        raise DatasetError(f"{args.refs} has no split {args.split!r}; choose one of {splits}")
    coco = read_coco(args.instances)
    return (item for ref in chosen for item in _items(ref, coco, args.pictures)), _expressions(chosen)


def read_refs(path: Path) -> list[dict[str, Any]]:
    """The references of a refer file. Raises DatasetError."""
    if path.suffix == ".json":
        try:
            refs = json.loads(path.read_bytes())
        except OSError as error:
            raise DatasetError(f"{path} cannot be read ({error.strerror}); check its name") from error
        except ValueError as error:
            raise DatasetError(f"{path} is not JSON ({error}); get it again") from error
    else:
        refs = load_plain(path)
    if not isinstance(refs, list) or not all(isinstance(ref, dict) for ref in refs):
        raise DatasetError(f"{path} is no list of references; name the refs(…) file itself")
    return refs


def _expressions(refs: list[dict[str, Any]]) -> int:
    return sum(len(ref["sentences"]) if isinstance(ref.get("sentences"), list) else 1 for ref in refs)


def _items(ref: dict[str, Any], coco: Coco, pictures: Path) -> Iterator[Item | LeftOut]:
    """An item for each expression of a reference."""
    where = f"ref {ref.get('ref_id')}"
    try:
        image = coco.images.get(ref["image_id"])
        sentences = [sentence["sent"] for sentence in ref["sentences"]]
        objects = ref["ann_id"] if isinstance(ref["ann_id"], list) else [ref["ann_id"]]
    except (KeyError, TypeError) as error:
        yield LeftOut(where, "an incomplete reference", f"{type(error).__name__}: {error}")
        return
    names = [f"{ref.get('ref_id')}-{number}" for number in range(len(sentences))]
    if image is None:
        yield from (LeftOut(f"ref {name}", "a reference to no picture of the COCO file") for name in names)
        return
    file_name = str(image.get("file_name"))
    none = bool(ref.get("no_target")) or objects == [-1]
    try:
        masks = [] if none else coco.masks(objects)
        picture = path_inside(pictures, file_name)
    except ValueError as error:
        yield from (leave_out(f"ref {name}", error) for name in names)
        return
    for number, (name, sentence) in enumerate(zip(names, sentences, strict=True)):
        yield Item(
            id=name,
            question=sentence,
            picture=picture,
            picture_key=file_name,
            masks=masks,
            kind="none" if none else "several" if len(objects) > 1 else "one",
            expression=number,
        )
