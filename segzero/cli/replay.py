"""`python -m segzero replay`: draw again what the JSON of an answer says. No model is asked."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from segzero.cli.ask import KNOWN_ERRORS, UsageError, add_outputs, fail, plan_outputs, save
from segzero.pictures import details, from_json, in_a_line, load_picture, printable


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add `replay` to the command line."""
    parser = commands.add_parser("replay", help="draw a saved answer again", description=__doc__)
    parser.add_argument(
        "answer", type=Path, metavar="ANSWER", help="what --json, or result.json of a zip, holds"
    )
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="the picture that was asked about")
    add_outputs(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read the answer, say what is in it, write what is wanted; returns the exit code."""
    wanted = {kind: path for kind in ("overlay", "mask", "zip") if (path := getattr(args, kind)) is not None}
    try:
        (files,) = plan_outputs([args.picture], wanted, several=False)
    except UsageError as error:
        return fail(error, code=2)
    try:
        result = from_json(_read(args.answer), load_picture(args.picture))
        save(result, files)
    except (*KNOWN_ERRORS, ValueError) as error:
        return fail(error)
    print(printable(f"{result.question}\n\n{result.thinking}\n\n{details(result)}"))
    for kind, path in files.items():
        print(f"{kind}: {in_a_line(str(path))}")
    return 0


def _read(path: Path) -> object:
    """What a JSON file holds. Raises OSError, and ValueError in one line."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, a number or brackets without end
        raise ValueError(f"{path}: no JSON: {error}.") from error
