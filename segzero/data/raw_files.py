"""The files that data comes in, written by anybody: their bytes, their text in whatever encoding, their JSON.

    found = read_json(Path("instances.json"))
    text, remark = decode(b"caf\\xe9")                    # "café", "read as cp1252, not UTF-8"

Whatever is in a file, nothing but DatasetError or the errors named below come out.
"""

from __future__ import annotations

import codecs
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

from charset_normalizer import from_bytes

from segzero.data.dataset import DatasetError
from segzero.pictures import OutsideError, path_inside

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GUESSES = ["gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1250", "cp1251", "cp1253", "cp1255", "cp1256"]
_TYPOGRAPHY = "‘’‚“”„–—…€£©®°«»¿¡·•§™ "
_ID_CHARS = 200
_FLAGS = {0: False, 1: True, "": False, "0": False, "1": True, "false": False, "true": True}


class EncodingError(ValueError):
    """Text that no single encoding explains; one line that says so."""


def read_bytes(path: Path) -> bytes:
    """All of a file. Raises DatasetError; a pipe, which might never end, is refused."""
    try:
        if path.exists() and not path.is_file():
            raise DatasetError(f"{path} is not an ordinary file; name the file itself")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in its name
        if isinstance(error, DatasetError):
            raise
        why = getattr(error, "strerror", None) or error
        raise DatasetError(f"{path} cannot be read ({why}); check its name") from error


def read_json(path: Path, kind: str = "JSON") -> Any:
    """What a JSON file holds. kind: what messages say that it should be. Raises DatasetError."""
    try:
        return parse_json(read_bytes(path))[0]
    except DatasetError:
        raise
    except ValueError as error:
        raise DatasetError(f"{path} is not {kind} ({error}); get it again") from error


def parse_json(data: bytes) -> tuple[Any, str]:
    """What JSON says, and a remark on its encoding, "" for UTF-8. Raises ValueError in one line."""
    text, remark = decode(data)
    try:
        return json.loads(text), remark
    except RecursionError as error:
        raise ValueError("it nests too deep") from error


def decode(data: bytes) -> tuple[str, str]:
    """Text, and a remark when its encoding was guessed. Raises EncodingError unless just one guess fits."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding), ""
    except UnicodeDecodeError:
        pass
    encoding = "cp1252" if _is_western(data) else _guessed(data)
    return data.decode(encoding), f"read as {encoding}, not UTF-8"


def _is_western(data: bytes) -> bool:
    """Whether it reads as cp1252, Windows' own: accents and quotation marks, singly among plain letters."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return all(
        len(run := found.group()) <= 2
        and all(char in _TYPOGRAPHY or unicodedata.category(char) in ("Ll", "Lu") for char in run)
        and (len(run) == 1 or _beside_a_letter(text, found))
        for found in re.finditer(r"[^\x00-\x7f]+", text)
    )


def _beside_a_letter(text: str, run: re.Match[str]) -> bool:
    return any(char.isascii() and char.isalpha() for char in text[run.start() - 1 : run.end() + 1])


def _guessed(data: bytes) -> str:
    found = list(from_bytes(data, cp_isolation=_GUESSES))
    best = [each for each in found if (each.chaos, -each.coherence) == (found[0].chaos, -found[0].coherence)]
    if len(best) != 1:
        fits = " or ".join(each.encoding for each in best) or "any that is known"
        raise EncodingError(f"it is not in UTF-8, and may be in {fits}; save it as UTF-8")
    return best[0].encoding


def as_id(value: object) -> str | None:
    """A number or text as an id: 7, 7.0 and "7" are the same. None for what can be no id."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    if isinstance(value, int) and abs(value) >= 1 << 63:
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= _ID_CHARS else None


def as_flag(value: object) -> bool | None:
    """A yes or no, which may be written 0, 1.0, "true" or "0"; nothing is no. None for anything else."""
    if value is None:
        return False
    value = value.strip().lower() if isinstance(value, str) else value
    return _FLAGS.get(value) if isinstance(value, (bool, int, float, str)) else None


def as_side(value: object) -> int | None:
    """A width or height: a whole number above 0, which may be written 64.0 or "64". None for all else."""
    if isinstance(value, str) and len(value) < 20:
        try:
            value = float(value)
        except ValueError:
            return None
    whole = isinstance(value, float) and value.is_integer() or type(value) is int
    return int(value) if whole and value > 0 else None


def find_file(folder: Path, name: str) -> str:
    """The name by which a file lies in a folder: as given, with Windows' backslashes, or with other accents.

    A name that leads nowhere comes back with slashes. Raises OutsideError.
    """
    slashes = name.replace("\\", "/")
    for form in (name, slashes, unicodedata.normalize("NFC", slashes), unicodedata.normalize("NFD", slashes)):
        try:
            if path_inside(folder, form).exists():
                return form
        except (OutsideError, OSError):
            continue
    path_inside(folder, slashes)
    return slashes
