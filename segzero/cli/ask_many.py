"""`python -m segzero ask` about several pictures: in batches, by several processes, again after a stop.

python -m segzero ask holiday/ "the ones that can fly" --json answers/
accelerate launch -m segzero ask holiday/ "the ones that can fly" --json answers/    # on all GPUs
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from segzero.contract import Result
from segzero.evaluation import Process, share_cores
from segzero.pictures import PictureError, in_a_line, plural, summary
from segzero.pipeline import Pipeline
from segzero.segmenter import SegmenterError

ASKED = ".asked"
"""In a folder of outputs: a line for each, of which question to which models it is."""
_TELLS = ("question", "preset", "reasoner", "segmenter", "quantize", "samples")

Files = dict[str, Path]


def answer_each(
    args: argparse.Namespace,
    pictures: Sequence[Path],
    outputs: Sequence[Files],
    refused: Sequence[str],
    *,
    load: Callable[[argparse.Namespace], Pipeline],
    save: Callable[[Result, Files], None],
) -> int:
    """A line for each picture under a progress bar; returns the exit code. One that fails ends nothing.

    refused: lines about what was named and holds no picture; each counts as one that failed. Pictures whose
    outputs are all there, from the same question to the same models, are not asked again.
    """
    process = Process.of_environment()
    failed = 0 if process.rank else len(refused)
    for line in refused if not process.rank else ():
        print(in_a_line(line))
    mine = list(zip(pictures, outputs, strict=True))[process.rank :: process.count]
    done = _done(outputs, _key(args))
    left = [(path, files) for path, files in mine if not files or not done.issuperset(files.values())]
    if len(left) < len(mine):
        print(f"{plural(len(mine) - len(left), 'picture')} asked already; remove the outputs to ask anew.")
    if left:
        if args.device is None:
            args.device = process.device
        at_once = share_cores(args.device)
        failed += _ask(load(args), left, args, at_once, save)
    if failed:
        print(f"{failed} of {len(mine) + len(refused)} pictures failed.", file=sys.stderr)
    return 1 if failed else 0


def _ask(
    pipeline: Pipeline,
    left: Sequence[tuple[Path, Files]],
    args: argparse.Namespace,
    at_once: int,
    save: Callable[[Result, Files], None],
) -> int:
    """Ask, save and tell; returns how many failed."""
    failed = 0
    if args.samples > 1:
        found = ((n, _alone(pipeline, path, args)) for n, (path, _) in enumerate(left))
    else:
        found = pipeline.run_each([path for path, _ in left], args.question, at_once=at_once)
    with tqdm(total=len(left), unit="picture") as progress:
        for index, came in found:
            path, files = left[index]
            line, bad = f"failed: {came}", True
            if isinstance(came, Result):
                line, bad = summary(came), came.status == "unreadable"
                try:
                    save(came, files)
                    _note(files, _key(args))
                except OSError as error:
                    line, bad = f"failed: {error}", True
            failed += bad
            tqdm.write(f"{in_a_line(path.name)}: {in_a_line(line)}")
            progress.update()
    return failed


def _alone(pipeline: Pipeline, path: Path, args: argparse.Namespace) -> Result | Exception:
    """Several answers about one picture are a batch already."""
    try:
        return pipeline.run(path, args.question, samples=args.samples)
    except (PictureError, SegmenterError) as error:
        return error


def _key(args: argparse.Namespace) -> str:
    told = json.dumps([str(getattr(args, name)) for name in _TELLS])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _done(outputs: Sequence[Files], key: str) -> set[Path]:
    """The outputs that are there, from this question to these models."""
    done = set()
    for folder in {path.parent for files in outputs for path in files.values()}:
        try:
            lines = (folder / ASKED).read_text(encoding="utf-8").split("\n")
        except (OSError, ValueError):  # none yet, or not ours
            continue
        last = dict(
            reversed(line.split(" ", 1)) for line in lines if " " in line
        )  # name -> key, the last counts
        done |= {folder / name for name in last if last[name] == key and (folder / name).is_file()}
    return done


def _note(files: Files, key: str) -> None:
    """A line for each output, each in one write, so that those of several processes do not mix."""
    for path in files.values():
        with (path.parent / ASKED).open("ab", buffering=0) as notes:
            notes.write(f"{key} {path.name}\n".encode())
