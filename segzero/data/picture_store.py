"""The pictures of a data set that is being written: each opened once, saved under a name that no other has.

store = PictureStore(Path("out/images"), taken=[])
name, (width, height) = store.place(Path("a.jpg"), key="cam1/a.jpg")
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from segzero.pictures import PictureError, load_picture

_MAX_STEM = 100  # characters, of the 255 bytes that a file's name may have


class PictureStore:
    """folder: where the files go; it is there. taken: names that they may not have."""

    def __init__(self, folder: Path, taken: Iterable[str]) -> None:
        self.folder = folder
        self._known: dict[tuple[str, str], tuple[str, tuple[int, int]] | PictureError] = {}
        self._taken = {name.lower() for name in taken}

    def place(self, picture: Path | bytes | Image.Image, key: str) -> tuple[str, tuple[int, int]]:
        """The file's name in the folder, and its (width, height), upright.

        key: the same for the same Image.Image; it names the file. Raises PictureError, at each call, when the
        picture cannot be used.
        """
        which = _identity(picture, key)
        if which not in self._known:
            self._known[which] = self._save(picture, key)
        known = self._known[which]
        if isinstance(known, PictureError):
            raise known
        return known

    def _save(
        self, picture: Path | bytes | Image.Image, key: str
    ) -> tuple[str, tuple[int, int]] | PictureError:
        name = self._free_name(picture, key)
        path = self.folder / name
        try:
            if isinstance(picture, Path):
                size = load_picture(picture).size
                _link_or_copy(picture, path)
            elif isinstance(picture, bytes):
                path.write_bytes(picture)
                size = load_picture(path).size
            else:
                upright = load_picture(picture)
                size = upright.size
                upright.save(path)
        except PictureError as error:
            return error
        return name, size

    def _free_name(self, picture: Path | bytes | Image.Image, key: str) -> str:
        stem = re.sub(r"[^\w-]+", "_", Path(key).stem).strip("_").lower()[:_MAX_STEM] or "picture"
        ending, number = _ending(picture), 1
        name = f"{stem}{ending}"
        while name in self._taken:
            number += 1
            name = f"{stem}-{number}{ending}"
        self._taken.add(name)
        return name


def _identity(picture: Path | bytes | Image.Image, key: str) -> tuple[str, str]:
    """What only the same picture shares: a key may be a source's own, and repeat for another picture."""
    if isinstance(picture, bytes):
        return "bytes", hashlib.sha256(picture).hexdigest()
    return ("path", str(picture)) if isinstance(picture, Path) else ("key", key)


def _ending(picture: Path | bytes | Image.Image) -> str:
    if isinstance(picture, Path):
        return picture.suffix.lower() or ".png"
    if isinstance(picture, Image.Image):
        return ".png"
    return ".jpg" if picture[:2] == b"\xff\xd8" else ".webp" if picture[8:12] == b"WEBP" else ".png"


def _link_or_copy(source: Path, target: Path) -> None:
    """A second name for the same file where the file system can: benchmarks' pictures are many."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
