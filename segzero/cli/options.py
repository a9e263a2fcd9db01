"""The command-line options that choose the models: the same for every command, and for the page.

add_model_options(parser)
pipeline = load_pipeline(parser.parse_args())
"""

from __future__ import annotations

import argparse

import segzero
from segzero.contract import PRESETS
from segzero.pipeline import Pipeline


def add_model_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--preset", choices=PRESETS, default="mini", help="which models answer (default: mini)")
    add(
        "--reasoner",
        metavar="MODEL",
        help="another reasoner: folder, Hub id, or ADDRESS#MODEL of a server",
    )
    add("--segmenter", metavar="MODEL", help="another segmenter: name, folder, Hub id, or .pth file")
    add("--device", help="cpu, cuda, cuda:1, … (default: a GPU where there is one)")
    add("--quantize", choices=("8bit", "4bit"), help="smaller weights of the reasoner, for small cards")
    add("--force", action="store_true", help="load a reasoner that seems too large for this machine")


def positive(text: str) -> int:
    """The type of an option that counts. Raises argparse.ArgumentTypeError for less than 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def load_pipeline(args: argparse.Namespace) -> Pipeline:
    """The pipeline that these options name. Raises ModelError and PresetError."""
    return segzero.load(
        args.preset,
        reasoner=args.reasoner,
        segmenter=args.segmenter,
        device=args.device,
        quantize=args.quantize,
        force=args.force,
    )
