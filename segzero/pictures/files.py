"""Files that appear whole or not at all, and that several threads and processes may write to.

    with locked(folder / "data.jsonl"):
        write_whole(folder / "data.jsonl", lines)

Every file of the program that somebody may read later is written so: a full disk, a kill or another process
leaves the file that was there, never a half one.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class LockedError(OSError):
    """A file that another process writes to; one line that says so."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A new name beside `path` to write to, which becomes `path` if nothing is raised, else goes away.

    It ends as `path` does, for those who choose a format by that. A link stays one, and a pipe or a device is
    written to as it is. Raises OSError when the file cannot take its place.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    path = Path(os.path.realpath(path))
    part = path.with_name(f".{uuid.uuid4().hex}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8, the whole of it or nothing. Raises OSError."""
    with written_whole(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def keep_whole(path: Path, content: bytes) -> None:
    """See that a file, named after its content, holds it: written unless it does. Raises OSError."""
    if not path.is_file() or path.stat().st_size != len(content):
        write_whole(path, content)


@contextmanager
def locked(path: Path, wait_s: float = 60) -> Iterator[None]:
    """Only one thread of one process at a time comes past this for a file, whose folder is made if need be.

    wait_s: how long to wait for the others. Raises LockedError after it, OSError when the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=wait_s):
            yield
    except Timeout as error:
        raise LockedError(
            f"{path} is being written by another process; wait for it, or name another"
        ) from error
