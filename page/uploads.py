"""Where uploads lie, and that they are gone within the hour.

    os.environ.setdefault("GRADIO_TEMP_DIR", FOLDER)      before gradio is imported
    keep_clean(Path(os.environ["GRADIO_TEMP_DIR"]))

Gradio deletes what it remembers: not the pictures that came by MCP, and nothing of a process that was killed.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

FOLDER = str(Path(tempfile.gettempdir()) / "seg-zero")
KEPT_S = 3600
EVERY_S = 300


def sweep(folder: Path, older_than_s: float) -> int:
    """Delete the files in `folder`, however deep, that nobody has written for so long; returns how many."""
    deleted, limit = 0, time.time() - older_than_s
    for path in folder.rglob("*"):
        try:
            if not path.is_dir() and path.lstat().st_ctime < limit:
                path.unlink()
                deleted += 1
        except OSError:  # somebody else has deleted it, or it is not ours: the next sweep will see
            continue
    return deleted


def keep_clean(folder: Path) -> None:
    """Sweep now and then, for as long as the process lives, so that no file gets older than KEPT_S."""

    def work() -> None:
        while True:
            sweep(folder, KEPT_S - EVERY_S)
            time.sleep(EVERY_S)

    threading.Thread(target=work, name="uploads", daemon=True).start()
