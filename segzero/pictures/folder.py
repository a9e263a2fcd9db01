"""A folder of pictures, as a camera, a phone or a colleague left it.

for path in pictures_in(Path("holiday")): ...
"""

from __future__ import annotations

import mimetypes
import os
from pathlib import Path

from PIL import Image

from segzero.pictures.picture import is_picture

# What neither Pillow nor the registry of MIME types knows everywhere: phones and cameras, and newer formats.
_MORE_ENDINGS = (".heic", ".heif", ".hif", ".avif", ".jxl", ".webp", ".jfif")
_RAW_ENDINGS = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw")


def pictures_in(folder: Path) -> list[Path]:
    """The files of a folder that can be decoded, whatever their ending, and those whose ending says picture.

    By name; no folder in it is entered. A file that merely bears a picture's ending is among them so that
    somebody is told about it: load_picture says what is wrong. Raises OSError when it cannot be listed.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if not os.path.isdir(path) and (_says_picture(path.name) or is_picture(path))
    )


def _says_picture(name: str) -> bool:
    ending = os.path.splitext(name)[1].lower()
    if ending in _MORE_ENDINGS + _RAW_ENDINGS:
        return True
    kind, _ = mimetypes.guess_type("a" + ending)
    known = Image.registered_extensions().get(ending)
    return any(str(each).startswith("image/") for each in (kind, Image.MIME.get(known)))
