"""`python -m segzero ask`: one question about one picture, or about each of several."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segzero.cli.options import add_model_options, load_pipeline, positive
from segzero.contract import PresetError, QuestionError, Thinking, check_question
from segzero.hub import ModelError
from segzero.pictures import (
    PictureError,
    details,
    in_a_line,
    load_picture,
    mask_image,
    overlay,
    pictures_in,
    printable,
    save_zip,
    to_json,
    written_whole,
)

if TYPE_CHECKING:
    from segzero.contract import Result
    from segzero.pipeline import Pipeline

OUTPUTS = {
    "overlay": (".png", ".jpg", ".jpeg", ".webp"),
    "mask": (".png",),
    "json": (".json",),
    "zip": (".zip",),
}
"""What can be written, and the file endings each may have."""

KNOWN_ERRORS = (PictureError, ModelError, PresetError, OSError)
"""Said in one line. Anything else is a fault of the program and shows where it happened."""


class UsageError(ValueError):
    """The arguments make no sense together; one line."""


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add `ask` to the command line."""
    parser = commands.add_parser("ask", help="ask what to find in a picture", description=__doc__)
    add = parser.add_argument
    add("pictures", nargs="+", metavar="PICTURE", help="a picture, several, or a folder of them")
    add("question", metavar="QUESTION", help="what to find, in quotes, after the pictures")
    add_outputs(parser)
    add("--json", type=Path, metavar="PATH", help="save everything, masks included, as JSON")
    add("--samples", type=positive, default=1, metavar="K", help="draw K - 1 more answers; all vote")
    add_model_options(parser)
    parser.epilog = "With several pictures, what is saved goes to folders: name them instead of files."
    parser.set_defaults(run=run)


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """The options that say which pictures to save."""
    add = parser.add_argument
    add("--overlay", type=Path, metavar="PATH", help="save the picture with the objects drawn on it")
    add("--mask", type=Path, metavar="PATH", help="save the mask of all objects as a PNG")
    add(
        "--zip", type=Path, metavar="PATH", help="save all masks, cut-outs, the overlay and the JSON together"
    )


def run(args: argparse.Namespace) -> int:
    """Answer about every picture; returns the exit code."""
    several = len(args.pictures) > 1 or os.path.isdir(args.pictures[0])
    wanted = {kind: path for kind in OUTPUTS if (path := getattr(args, kind)) is not None}
    try:
        pictures, refused = find_pictures(args.pictures)
        check_question_comes_last(args.pictures, args.question)
        check_question(args.question)
        outputs = plan_outputs(pictures, wanted, several=several)
    except (UsageError, QuestionError) as error:
        return fail(error, code=2)
    try:
        if several:
            from segzero.cli.ask_many import answer_each  # which brings the evaluation's batches

            return answer_each(args, pictures, outputs, refused, load=load_pipeline, save=save)
        load_picture(pictures[0])  # what is wrong with it is better known before large models load
        pipeline = load_pipeline(args)
    except KNOWN_ERRORS as error:
        return fail(error)
    return answer_one(pipeline, pictures[0], args.question, outputs[0], args.samples)


# -------------------------------------------------------------------------------- which pictures, which files


def find_pictures(named: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The files that were named, a folder standing for the pictures in it by name.

    -> the files, and a line about each folder that has none to offer. Raises UsageError when nothing is left.
    """
    found, refused = [], []
    for path in map(Path, named):
        try:
            inside = pictures_in(path) if os.path.isdir(path) else [path]
        except OSError as error:
            refused.append(f"The folder {path} cannot be read: {error.strerror}.")
            continue
        found += inside
        if not inside:
            refused.append(f"There is no picture in the folder {path}.")
    if not found:
        raise UsageError(" ".join(refused))
    return found, refused


def check_question_comes_last(named: Sequence[str], question: str) -> None:
    """Raises UsageError when the last argument, taken for the question, must be a picture or a folder.

    A folder, or a file without an ending, may bear the name of what is looked for: after pictures that are
    there its name is a question.
    """
    last = Path(question)
    is_picture = _exists(last) and (bool(last.suffix) and not last.is_dir() or not all(map(_exists, named)))
    if is_picture:
        kind = "folder" if last.is_dir() else "file"
        raise UsageError(
            f"{question} is a {kind}, not a question: put the question in quotes after the pictures."
        )


def _exists(path: Path | str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # no file name at all: too long, or with a NUL in it
        return False


def plan_outputs(pictures: list[Path], wanted: dict[str, Path], *, several: bool) -> list[dict[str, Path]]:
    """For each picture, where each kind of output goes.

    Raises UsageError for an ending that does not fit, and where one file would be written over another.
    """
    if several and any(path.suffix and not os.path.isdir(path) for path in wanted.values()):
        raise UsageError("With several pictures --overlay, --mask, --json and --zip name folders.")
    planned = [
        {kind: output_file(path, kind, name, in_folder=several) for kind, path in wanted.items()}
        for name in distinct(_short(picture.stem) for picture in pictures)
    ]
    taken = set(map(os.path.realpath, pictures))
    for path in (path for files in planned for path in files.values()):
        if os.path.realpath(path) in taken:
            raise UsageError(f"{path} would be written over: name another file for it.")
        taken.add(os.path.realpath(path))
    return planned


def output_file(path: Path, kind: str, name: str, *, in_folder: bool) -> Path:
    """The file that was named, or in a folder that was named one called after the picture."""
    if in_folder or os.path.isdir(path):
        return path / (f"{name}.{kind}" if kind in ("json", "zip") else f"{name}-{kind}.png")
    if path.suffix.lower() not in OUTPUTS[kind]:
        raise UsageError(f"--{kind} writes {' or '.join(OUTPUTS[kind])}, not {path.name}.")
    return path


def _short(stem: str) -> str:
    """A name to which something can be added: most disks take 255 bytes."""
    return os.fsencode(stem)[:200].decode(errors="ignore") if len(os.fsencode(stem)) > 200 else stem


def distinct(names: Iterable[str]) -> Iterator[str]:
    """The names, "-2", "-3", … behind one that was there before: a.jpg and a.png both keep their outputs."""
    taken = set()
    for name in names:
        candidate, number = name, 1
        while candidate in taken:
            number += 1
            candidate = f"{name}-{number}"
        taken.add(candidate)
        yield candidate


# -------------------------------------------------------------------------------------------------- answering


def answer_one(pipeline: Pipeline, picture: Path, question: str, files: dict[str, Path], samples: int) -> int:
    """One picture: the thought as it is written, then what was found."""
    try:
        result = answer(pipeline, picture, question, samples, on_thought=thought_printer())
        print(f"\n\n{printable(details(result))}")
        save(result, files)
    except KNOWN_ERRORS as error:
        return fail(error)
    for kind, path in files.items():
        print(f"{kind}: {in_a_line(str(path))}")
    return 0 if result.status != "unreadable" else 1


def answer(
    pipeline: Pipeline,
    path: Path,
    question: str,
    samples: int,
    on_thought: Callable[[str], None] = lambda text: None,
) -> Result:
    """The result; a thought comes word by word, but of several answers that vote at the end."""
    if samples > 1:
        result = pipeline.run(path, question, samples=samples)
        on_thought(result.thinking)
        return result
    for event in pipeline.stream(path, question):
        if isinstance(event, Thinking):
            on_thought(event.text)
    return event.result


def save(result: Result, files: dict[str, Path]) -> None:
    """Write the outputs that are wanted of a result."""
    for kind, path in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as part:
            if kind == "overlay":
                overlay(result.picture, result).save(part)
            elif kind == "mask":
                mask_image(result.mask).save(part)
            elif kind == "zip":
                save_zip(result, part)
            else:
                part.write_text(json.dumps(to_json(result), ensure_ascii=False) + "\n", encoding="utf-8")


def thought_printer() -> Callable[[str], None]:
    """A function that takes the thought so far and prints what is new in it."""
    printed = ""

    def show(text: str) -> None:
        nonlocal printed
        if text.startswith(printed):
            print(printable(text[len(printed) :]), end="", flush=True)
            printed = text

    return show


def fail(error: Exception, code: int = 1) -> int:
    """Say what went wrong, in one line; returns the exit code. Raises BrokenPipeError: nobody reads."""
    if isinstance(error, BrokenPipeError):
        raise error
    print(f"segzero: {in_a_line(' '.join(str(error).split()))}", file=sys.stderr)
    return code
