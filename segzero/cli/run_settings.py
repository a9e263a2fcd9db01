"""Which data an evaluation is about, in which folder it is kept, and what has to be the same for it to go on.

path = find_data(args.data, process)
RunFolder(args.out or default_folder(args, path), settings_of(args, path), process)
"""

from __future__ import annotations

import argparse
import os
import re
import time
from pathlib import Path
from typing import Any

from segzero.contract import PRESETS
from segzero.data import DATA_FILE, LEFT_OUT_FILE, find_data_file, read_rows, write_dataset
from segzero.evaluation import Process, fingerprint
from segzero.pictures import printable

RUNS, DATA = Path("runs/evaluate"), Path("runs/data")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_POLL_S = 1.0


def find_data(name: str, process: Process) -> Path:
    """The data on this disk; a set of the Hub is prepared once, by the first process. Raises DatasetError."""
    path = Path(name)
    if path.exists() or not _HUB_ID.fullmatch(name):
        return path
    folder = DATA / name.replace("/", "--")
    if process.rank:
        while not (folder / DATA_FILE).exists():
            time.sleep(_POLL_S)
    elif not (folder / DATA_FILE).exists():
        from segzero.data import open_set

        print(printable(write_dataset(folder, *open_set(name)).report()))
    return folder


def left_out_before(path: Path) -> int:
    """How many rows preparing the data left out."""
    told = find_data_file(path).parent / LEFT_OUT_FILE
    return sum(1 for _ in read_rows(told)) if told.exists() else 0


def settings_of(args: argparse.Namespace, path: Path) -> dict[str, Any]:
    """What has to stay the same for a run to go on."""
    found = {
        "data": data_name(args.data),
        "data_fingerprint": fingerprint(find_data_file(path)),
        "preset": args.preset,
    }
    for role in ("reasoner", "segmenter"):
        model = getattr(args, role)
        found[role] = model
        found[f"{role}_fingerprint"] = fingerprint(Path(model or getattr(PRESETS[args.preset], role)))
    trim = PRESETS[args.preset].evaluation_trim
    found |= {"question_trim": trim} if trim is not None else {}
    return found | ({"samples": args.samples} if args.samples else {})


def data_name(name: str) -> str:
    """One spelling for each data, so that `data`, `data/` and `./data/data.jsonl` are one run.

    The folder, from here where it lies below; a Hub id stays as it is.
    """
    if not Path(name).exists():
        return name
    path = Path(os.path.abspath(name))
    path = path.parent if path.name == DATA_FILE else path
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def default_folder(args: argparse.Namespace, path: Path) -> Path:
    """In RUNS, named after the data, the models and the number of answers."""
    path = Path(os.path.abspath(path))  # "." has no name of its own
    data = path.parent.name if path.name == DATA_FILE else path.stem if path.is_file() else path.name
    models = [args.preset] + [Path(model.partition("#")[2] or model).name for model in _own_models(args)]
    parts = [data, *models] + ([f"{args.samples}-answers"] if args.samples else [])
    return RUNS / "-".join(re.sub(r"[^\w.]+", "-", part).strip("-.") for part in parts)


def _own_models(args: argparse.Namespace) -> list[str]:
    return [model for model in (args.reasoner, args.segmenter) if model]
