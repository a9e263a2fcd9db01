"""A picture's file that stops reading when its header has no end.

    with BoundedFile(path) as file:
        image = Image.open(file)
        file.header_is_read()
        image.load()

Pillow reads comments, texts and segments one by one, and joins some of them anew each time: five megabytes of
them take it half a minute. No picture that somebody wants to ask about has nearly as many.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

_READS = 10_000
"""Pieces that a header may have, and all pieces that are as small as a header's."""
_HEADER_BYTES = 16 << 20
_BYTES_A_READ = 1024
"""Pixels come in larger pieces: for each so many bytes one more read is allowed behind the header."""
_AT_ONCE = 150 << 20
"""What is read in one go, by formats whose decoders want the whole file."""


class BoundError(OSError):
    """The file holds more than a picture needs; one clause that says what."""


class BoundedFile(io.BufferedReader):
    """An open file, for reading. Raises BoundError once a bound is passed, and at every read from then on."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.size = os.fstat(self.fileno()).st_size  # bytes
        self._in_header, self._reads, self._bytes, self._passed = True, 0, 0, ""

    def header_is_read(self) -> None:
        """What is read from here on may be pixels."""
        self._in_header = False

    def read(self, size: int | None = -1, /) -> bytes:
        if self._passed:  # some plugin may have caught the first one
            raise BoundError(self._passed)
        whole = size is None or size < 0
        if whole and self.size > _AT_ONCE:
            self._passed = f"it has more than {_AT_ONCE >> 20} MB, too much for its format"
            raise BoundError(self._passed)
        data = super().read(size)
        self._reads += 1
        self._bytes += 0 if whole else len(data)
        allowed = _READS if self._in_header else _READS + self._bytes // _BYTES_A_READ
        if self._reads > allowed or (self._in_header and self._bytes > _HEADER_BYTES):
            self._passed = "it holds more comments and notes than pictures have"
            raise BoundError(self._passed)
        return data
