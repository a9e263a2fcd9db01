"""Checkpoint files of SAM and SAM 2: the weights in a .pth or .pt file, in whatever a training wrapped them.

    kind, weights = read("sam2.1_hiera_large.pt")             # "sam2", {"image_encoder.trunk.pos_embed": …}

SAM's official files are a dictionary of tensors, SAM 2's hold one as {"model": …}; trainings keep one beside
an optimizer, with "module." before each name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from segzero.weights import WeightsError, read_checkpoint, reading

FIRST = {
    "sam": "image_encoder.patch_embed.proj.weight",
    "sam2": "image_encoder.trunk.patch_embed.proj.weight",
}
"""The tensor that tells each model by its name."""
DEEPEST = 4  # dictionaries within dictionaries, in any checkpoint that is none of an attacker's


def read(path: str | Path) -> tuple[str, dict[str, Tensor]]:
    """-> "sam" or "sam2", and its weights in float32 by their official names. Raises WeightsError."""
    found = []
    for tensors in _dictionaries(read_checkpoint(path), DEEPEST):
        for kind, first in FIRST.items():
            for name in tensors:
                if name == first or name.endswith(f".{first}"):
                    found.append((kind, name.removesuffix(first), tensors))
    if not found:
        raise WeightsError("it holds no weights of SAM or SAM 2 under their official names")
    if len(found) > 1:
        raise WeightsError(f"it holds the weights of {len(found)} models, and does not say which is meant")
    kind, prefix, tensors = found[0]
    with reading("its weights"):
        return kind, {name.removeprefix(prefix): value.detach().float() for name, value in tensors.items()}


def _dictionaries(content: Any, deepest: int) -> Iterator[dict[str, Tensor]]:
    """The tensors by name of each dictionary in a checkpoint that has some."""
    if not isinstance(content, Mapping) or not deepest:
        return
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if all(isinstance(name, str) for name in tensors) and tensors:
        yield tensors
    for value in content.values():
        yield from _dictionaries(value, deepest - 1)
