"""Where uploads lie, which of them may be asked about, and that they are gone an hour after their last use.

    os.environ["GRADIO_TEMP_DIR"] = own_folder(os.environ.get("GRADIO_TEMP_DIR"))    before gradio is imported
    keep_clean(Path(os.environ["GRADIO_TEMP_DIR"]))

Gradio deletes what it remembers: not the pictures that came by MCP, and nothing of a process that was killed.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

NAME = "seg-zero"
KEPT_S = 3600
EVERY_S = 300

_OF_CONTENT = re.compile(r"[0-9a-f]{64}")  # Gradio's folder for a file, named after what is in it
_BROKEN_OFF = re.compile(r"tmp[a-z0-9_]{8}")  # an upload that is under way, or never came to its end


def own_folder(parent: str | None) -> str:
    """A folder of this program's alone, in `parent` or where the system has its temporary files."""
    folder = Path(parent or tempfile.gettempdir())
    return str(folder if folder.name == NAME else folder / NAME)


class Uploads:
    """The files that visitors may ask about.

    folder: where Gradio keeps files. uploaded: paths as its upload route gave them out, a set of gr.Blocks
    that goes on growing. also: files of this program's, the examples' pictures.
    """

    def __init__(self, folder: Path, uploaded: Collection[str] = (), also: Collection[Path] = ()) -> None:
        self._folder, self._uploaded, self._also = folder, uploaded, {str(path) for path in also}

    def knows(self, path: str) -> bool:
        """Whether it was uploaded, or is one of our own, and is here. Of other paths nothing is told."""
        return path in self._also or (path in self._uploaded and self.keeps(path))

    def keeps(self, path: str) -> bool:
        """Whether a file, no link, lies where Gradio puts what is uploaded or fetched for visitors."""
        try:
            real = Path(path).resolve()
            within = real.parent.parent == self._folder.resolve() and _OF_CONTENT.fullmatch(real.parent.name)
            return bool(within) and real.is_file() and not Path(path).is_symlink()
        except (OSError, ValueError, RuntimeError):  # a name too long, with a zero byte, of links in a ring
            return False

    def touch(self, path: str) -> None:
        """Let the hour of an upload begin anew. Other files are left alone."""
        if self.keeps(path):
            with suppress(OSError):  # it goes this very moment: whoever opens it will see
                os.utime(path)


def make_folder(folder: Path) -> None:
    """Make the folder for uploads, for this user alone. Raises OSError when it is a link or another's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mine = not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
    if folder.is_symlink() or not mine:
        raise OSError(f"{folder} is a link or another user's; set GRADIO_TEMP_DIR to a folder of yours")


def sweep(folder: Path, older_than_s: float) -> int:
    """Delete the files of Gradio's in `folder` that nobody has used for so long; returns how many.

    Those are what lies in folders that are named after its content, and uploads that broke off. Nothing else
    is touched, and no link is followed.
    """
    deleted, limit = 0, time.time() - older_than_s
    for path in list(_own_files(folder)):
        try:
            if path.lstat().st_ctime < limit:
                path.unlink()
                deleted += 1
                if path.parent != folder:
                    path.parent.rmdir()
        except OSError:  # somebody else has deleted it, or there is more beside it: the next sweep will see
            continue
    return deleted


def _own_files(folder: Path) -> Iterator[Path]:
    try:
        entries = [] if folder.is_symlink() else list(os.scandir(folder))
    except OSError:  # nothing has been uploaded yet
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and _OF_CONTENT.fullmatch(entry.name):
            with os.scandir(entry.path) as files:
                yield from (Path(file.path) for file in files if file.is_file(follow_symlinks=False))
        elif entry.is_file(follow_symlinks=False) and _BROKEN_OFF.fullmatch(entry.name):
            yield Path(entry.path)


def keep_clean(folder: Path) -> None:
    """Sweep now and then, for as long as the process lives, so that no file gets older than KEPT_S."""

    def work() -> None:
        while True:
            sweep(folder, KEPT_S - EVERY_S)
            time.sleep(EVERY_S)

    threading.Thread(target=work, name="uploads", daemon=True).start()
