"""`python -m segzero prepare`: turn a benchmark, or your own pictures and masks, into the local format.

python -m segzero prepare hub Ricky06662/ReasonSeg_val --out data/reasonseg-val
python -m segzero prepare table mine/questions.csv --out data/mine
"""

from __future__ import annotations

import argparse
from pathlib import Path

from segzero.cli.ask import fail
from segzero.data import SOURCES, DatasetError, write_dataset
from segzero.pictures import printable


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add `prepare` to the command line, with a command of its own for each kind of source."""
    parser = commands.add_parser("prepare", help="turn data into the local format", description=__doc__)
    sources = parser.add_subparsers(metavar="SOURCE", required=True)
    for source in SOURCES:
        options = source.add_to(sources)
        options.description = source.__doc__
        options.formatter_class = argparse.RawDescriptionHelpFormatter
        options.add_argument(
            "--out", type=Path, required=True, metavar="FOLDER", help="a new folder for the data"
        )
        options.set_defaults(run=run, read=source.read)


def run(args: argparse.Namespace) -> int:
    """Prepare a source; returns the exit code: 1 when nothing at all could be used."""
    try:
        items, total = args.read(args)
        summary = write_dataset(args.out, items, total)
    except (DatasetError, OSError) as error:
        return fail(error)
    print(printable(summary.report()))
    return 0 if summary.written else 1
