"""Masks that people corrected, kept as training data in the local format (segzero/data/dataset.py).

Corrections(Path("runs/corrections")).add(result, "photo.jpg")
accelerate launch train/grpo.py --data runs/corrections
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

from segzero.contract import Result
from segzero.data import DATA_FILE
from segzero.pictures import encode_mask, keep_whole, locked, write_whole


class Corrections:
    """A folder that grows: data.jsonl, and the pictures in images/. Threads and processes may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, result: Result, picture: str | Path) -> int:
        """Keep the masks of a result about the file `picture`; returns how many rows there are now.

        A row that was kept before for the same picture and question gives way; every other line stays as it
        is, byte by byte. Raises OSError when the disk refuses, and ValueError when no mask is left to keep.
        """
        masks = [encode_mask(mask) for mask in result.masks if mask.any()]
        if not masks:
            raise ValueError("There is no mask to save.")
        path = self.folder / DATA_FILE
        with locked(path):
            row = {"image": self._keep(Path(picture), result), "question": result.question, "masks": masks}
            # Lines end at a newline alone: splitlines() would cut questions at U+2028 and its like.
            lines = path.read_bytes().split(b"\n") if path.exists() else []
            lines = [line for line in lines if line.strip() and not _same(line, row)]
            lines.append(json.dumps(row, ensure_ascii=False).encode())
            write_whole(path, b"".join(line + b"\n" for line in lines))
        return len(lines)

    def _keep(self, picture: Path, result: Result) -> str:
        """The name in the folder of the picture, copied as it is, once, under the hash of its bytes.

        Where the file is gone, as uploads are after an hour, the result's own picture takes its place.
        """
        if picture.exists() or result.picture is None:
            data, suffix = picture.read_bytes(), picture.suffix.lower()
        else:
            buffer = io.BytesIO()
            result.picture.save(buffer, "PNG")
            data, suffix = buffer.getvalue(), ".png"
        name = f"images/{hashlib.sha256(data).hexdigest()[:16]}{suffix}"
        (self.folder / "images").mkdir(parents=True, exist_ok=True)
        keep_whole(self.folder / name, data)
        return name


def _same(line: bytes, row: dict[str, Any]) -> bool:
    """Whether a line of the file is about the same picture and question."""
    try:
        kept = json.loads(line)
    except (ValueError, RecursionError):  # somebody else's line: the reader will say what is wrong with it
        return False
    return isinstance(kept, dict) and all(kept.get(key) == row[key] for key in ("image", "question"))
