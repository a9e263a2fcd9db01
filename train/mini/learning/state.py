"""A stopped training's state as it was saved, or one line that says why it cannot be gone on with.

state = read_state(folder / "state.pt", ("model", "optimizer"))
with restoring(folder / "state.pt"):
    model.load_state_dict(state["model"])
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from segzero.hub import one_line

_ANEW = "Remove it to begin anew (--init begins from the model beside it), or take another --out"


class StateError(RuntimeError):
    """A training cannot go on or begin, in one line: which file, why, what to do."""


def read_state(path: Path, parts: Sequence[str]) -> dict[str, Any]:
    """What torch.save wrote there, a dictionary with these parts. Raises StateError."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load does not look at the check sums
            if archive.testzip():
                raise zipfile.BadZipFile("its check sums are not those of its contents")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise anything; nothing of ours runs in there
        raise StateError(f"{path} is damaged ({one_line(error)}). {_ANEW}.") from error
    missing = [part for part in parts if not isinstance(state, dict) or part not in state]
    if missing:
        raise StateError(f"{path} is no state of this training: it has no {missing[0]}. {_ANEW}.")
    return state


@contextmanager
def restoring(path: Path) -> Iterator[None]:
    """While parts of a state are loaded: raises StateError where they do not fit what is trained."""
    try:
        yield
    except Exception as error:  # of torch's load_state_dict: names, sizes, kinds
        raise StateError(f"{path} does not fit this training ({one_line(error)}). {_ANEW}.") from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """While weights or a processor are read from a folder: raises StateError where they cannot be."""
    try:
        yield
    except Exception as error:  # of transformers, safetensors and json
        raise StateError(
            f"{path} cannot be read ({one_line(error)}). Name another folder, or none."
        ) from error
