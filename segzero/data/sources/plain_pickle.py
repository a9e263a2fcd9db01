"""Read a pickle that holds plain data, and refuse every other: the refer files of RefCOCO are pickles.

    refs = load_plain(Path("refcoco/refs(unc).p"))

A pickle is a program: it may name any function of any module, and unpickling calls it. It can only get at
them through `find_class`, which here refuses all; what is left are lists, dictionaries, text and numbers. A
few bytes may still ask for a memo of gigabytes, which is refused before anything is run.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

from segzero.data.dataset import DatasetError
from segzero.data.raw_files import read_bytes

_MEMO = ("PUT", "BINPUT", "LONG_BINPUT")


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(
            f"it asks for {module_name}.{global_name}, and plain data asks for nothing"
        )


def load_plain(path: Path) -> Any:
    """The lists, dictionaries, text and numbers of a pickle, which may share parts without end.

    Raises DatasetError for any other.
    """
    data = read_bytes(path)
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in _MEMO and argument > len(data):
                raise pickle.UnpicklingError("it asks for more memory than it has parts")
        # latin1: text of Python 2, whatever is in it
        return _PlainUnpickler(io.BytesIO(data), encoding="latin1").load()
    except (pickle.UnpicklingError, ValueError, EOFError, LookupError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is no pickle of plain data: {error!s:.200}. It was not run") from error
    except (MemoryError, OverflowError, RecursionError) as error:
        raise DatasetError(f"{path} is damaged ({type(error).__name__}); get it again") from error
