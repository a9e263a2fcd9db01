"""The command line: python -m segzero COMMAND.

python -m segzero ask photo.jpg "What could keep me dry?" --overlay out.png
python -m segzero ask a.jpg b.jpg "Which animal is asleep?" --json answers/
python -m segzero replay answers/a.json a.jpg --overlay out.png
python -m segzero evaluate --data Ricky06662/ReasonSeg_val --preset seg-zero-7b
python -m segzero prepare hub Ricky06662/ReasonSeg_val --out data/reasonseg-val
"""

from __future__ import annotations

import argparse
import sys

from segzero.cli import ask, evaluate, prepare, replay

STOPPED = 130  # what shells report of a program that Ctrl-C ended


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns its exit code: 0 all went well, 1 something failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m segzero", description="Reasoning segmentation.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (ask, replay, evaluate, prepare):
        command.add_to(commands)
    args = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a terminal without the letters of an answer shows "?" for them
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return STOPPED


if __name__ == "__main__":
    sys.exit(main())
