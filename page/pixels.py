"""Pictures in memory, for all visitors together: a visit keeps the file's name, and asks here for its pixels.

pixels = Pixels(uploads)
pixels.load("photo.jpg")      decoded
pixels.load("photo.jpg")      at once
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from PIL import Image

from page.uploads import Uploads
from segzero.pictures import load_picture

MAX_BYTES = 200_000_000  # 66 megapixels: several photographs of a phone


class Pixels:
    """Safe to share between threads. max_bytes: of what stays; the picture used last always does."""

    def __init__(self, uploads: Uploads, max_bytes: int = MAX_BYTES) -> None:
        self._uploads, self._max_bytes = uploads, max_bytes
        self._pictures: OrderedDict[str, Image.Image] = OrderedDict()
        self._looking, self._decoding = threading.Lock(), threading.Lock()

    def load(self, source: str) -> Image.Image:
        """The picture in a file, upright RGB, not to be changed. Raises PictureError.

        One is decoded at a time. An upload's hour begins anew.
        """
        self._uploads.touch(source)
        if (picture := self._found(source)) is not None:
            return picture
        with self._decoding:
            if (picture := self._found(source)) is not None:  # decoded while this call waited
                return picture
            picture = load_picture(source)
            with self._looking:
                self._pictures[source] = picture
                while len(self._pictures) > 1 and sum(map(_bytes, self._pictures.values())) > self._max_bytes:
                    self._pictures.popitem(last=False)
        return picture

    def _found(self, source: str) -> Image.Image | None:
        """The picture, if it is in memory; what is no longer on the disk goes from there as well."""
        with self._looking:
            for gone in [each for each in self._pictures if not Path(each).exists()]:
                del self._pictures[gone]
            if source in self._pictures:
                self._pictures.move_to_end(source)
            return self._pictures.get(source)


def _bytes(picture: Image.Image) -> int:
    return 3 * picture.width * picture.height
