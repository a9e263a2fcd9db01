"""File names that data brings along, held inside the folder of the data.

path_inside(Path("photos"), "red/umbrella.png")
"""

from __future__ import annotations

from pathlib import Path


class OutsideError(ValueError):
    """A file name that leads out of its folder, or nowhere; one line that says so."""


def path_inside(folder: Path, name: str) -> Path:
    """The file `name` of a folder, links followed. Raises OutsideError; the file need not be there."""
    try:
        path = (folder / name).resolve()
        if path.is_relative_to(folder.resolve()):
            path.exists()  # a name too long for the disk shows here
            return path
    except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, a zero byte
        raise OutsideError(f"{name!r:.80} is no file name") from error
    raise OutsideError(f"{name!r:.80} leads out of the folder")
