"""Read a pickle that holds plain data, and refuse every other: the refer files of RefCOCO are pickles.

    refs = load_plain(Path("refcoco/refs(unc).p"))

A pickle is a program: it may name any function of any module, and unpickling calls it. It can only get at
them through `find_class`, which here refuses all; what is left are lists, dictionaries, text and numbers.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from segzero.data.dataset import DatasetError


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(
            f"it asks for {module_name}.{global_name}, and plain data asks for nothing"
        )


def load_plain(path: Path) -> Any:
    """The lists, dictionaries, text and numbers of a pickle. Raises DatasetError for any other."""
    try:
        with path.open("rb") as file:
            return _PlainUnpickler(
                file, encoding="latin1"
            ).load()  # latin1: text of Python 2, whatever is in it
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}); check its name") from error
    except (pickle.UnpicklingError, ValueError, EOFError, LookupError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is no pickle of plain data: {error}. It was not run") from error
    except (MemoryError, OverflowError, RecursionError) as error:
        raise DatasetError(f"{path} is damaged ({type(error).__name__}); get it again") from error
