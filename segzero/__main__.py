"""The command line: python -m segzero COMMAND.

python -m segzero ask photo.jpg "What could keep me dry?" --overlay out.png
python -m segzero ask a.jpg b.jpg "Which animal is asleep?" --json answers/
python -m segzero replay answers/a.json a.jpg --overlay out.png
python -m segzero evaluate --data Ricky06662/ReasonSeg_val --preset seg-zero-7b
python -m segzero prepare hub Ricky06662/ReasonSeg_val --out data/reasonseg-val
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from contextlib import suppress

STOPPED = 130  # what shells report of a program that Ctrl-C ended


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns its exit code: 0 all went well, 1 something failed, 2 wrong usage; STOPPED."""
    try:
        code = _run(argv)
        sys.stdout.flush()  # here, where it can still be said that the disk is full
        return code
    except KeyboardInterrupt:
        _say("\nStopped.")
        return STOPPED
    except BrokenPipeError:  # `| head` has read enough
        return 1
    except OSError as error:
        _say(f"segzero: what there is to say cannot be written: {error.strerror or error}")
        return 1


def _run(argv: list[str] | None) -> int:
    # Here, because it takes a second, in which Ctrl-C is to be as quiet as later.
    from segzero.cli import ask, evaluate, prepare, replay

    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a terminal without the letters of an answer shows "?" for them
    parser = argparse.ArgumentParser(prog="python -m segzero", description="Reasoning segmentation.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (ask, replay, evaluate, prepare):
        command.add_to(commands)
    args = parser.parse_args(argv)
    return args.run(args)


def _say(text: str) -> None:
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _again(unraisable) -> None:
    """Send a Ctrl-C once more that Python dropped because it came while an object was cleared away."""
    if unraisable.exc_type is KeyboardInterrupt:
        threading.Timer(0.05, signal.raise_signal, [signal.SIGINT]).start()
    else:
        sys.__unraisablehook__(unraisable)


def _program() -> None:
    """Run a command and end the process, which waits for threads inside the models unless Ctrl-C comes again.

    What a stream that failed still holds is dropped: the interpreter would fail with it again, and say so.
    """
    sys.unraisablehook = _again
    try:
        code = main()
    except SystemExit as end:  # argparse's
        code = end.code
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except OSError:
            code = code or 1
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    sys.exit(code)


if __name__ == "__main__":
    _program()
