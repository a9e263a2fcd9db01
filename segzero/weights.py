"""Weights are what was asked for, or nothing: how every model of the program is loaded.

    with named(f"{model} cannot be loaded", "Get its files again"):
        network = pretrained(Sam2Model, folder, dtype=torch.float32)
        place(network, usable_device(None))

A stranger's files can be wrong in more ways than a list of errors holds. So whatever happens while they are
read is a `WeightsError` that keeps its cause; `reading` stands around a library's reading calls alone, and an
error of the program's own code stays what it is. `named` makes the one line for people of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, logging

from segzero.hub import ModelError, one_line


class WeightsError(ValueError):
    """Why files do not hold the model that was asked for: a part of a sentence about them."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Around what reads a stranger's file and nothing else: raises WeightsError for whatever goes wrong.

    what: such as "its weights". A WeightsError from within stays as it is.
    """
    try:
        yield
    except WeightsError:
        raise
    except ImportError as error:  # flash attention, bitsandbytes, …: looked for when something asks for them
        raise WeightsError(f"what it wants is missing: {one_line(error)}") from error
    except Exception as error:
        said = one_line(error)
        kind = type(error).__name__
        reason = said if said == kind else f"{kind}: {said}"
        raise WeightsError(f"{what} cannot be read ({reason})") from error


@contextmanager
def named(failure: str, advice: str) -> Iterator[None]:
    """A WeightsError from within as a ModelError: one line of the failure, the reason, and what to do.

    failure: with the name that the person gave, such as "sam2.1-tiny cannot be loaded".
    """
    try:
        yield
    except WeightsError as error:
        raise ModelError(f"{failure}: {error}. {advice}.") from error


def pretrained(
    kind: type, folder: str | Path, *, dtype: Any, ties: Mapping[str, str] | None = None, **options: Any
) -> nn.Module:
    """A model of transformers with every tensor from a folder's safetensors; no code in the folder is run.

    kind: a model's class, or an Auto class. dtype: goes before the folder's own, however that is spelt. ties:
    tensor -> the one that it equals, for files which hold only one of the two. options: from_pretrained's.
    Raises WeightsError.
    """
    if issubclass(kind, PreTrainedModel):  # Auto classes read it so themselves
        with reading("its config.json"), _quietly():
            options["config"] = kind.config_class.from_pretrained(folder, local_files_only=True, dtype=dtype)
    with reading("its weights"), _quietly():
        model, report = kind.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            output_loading_info=True,
            dtype=dtype,
            **options,
        )
    missing = set(report["missing_keys"])
    filled = {name for name, source in (ties or {}).items() if name in missing and source not in missing}
    own = model.state_dict() if filled else {}
    for name in filled:
        own[name].copy_(own[ties[name]])
    _refuse(missing - filled, report["unexpected_keys"], report["mismatched_keys"])
    return model


@contextmanager
def _quietly() -> Iterator[None]:
    """Without transformers' words on types, and its table of what is missing: told here, or filled."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def fill(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a model all its tensors, in its own precision. Raises WeightsError unless they are its own."""
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    held = {name: tuple(value.shape) for name, value in weights.items()}
    mismatched = [(name, held[name], own[name]) for name in own if name in held and held[name] != own[name]]
    _refuse(own.keys() - held.keys(), held.keys() - own.keys(), mismatched)
    with reading("its weights"):
        model.load_state_dict(weights)


def _refuse(missing: Collection[str], unexpected: Collection[str], mismatched: Collection[tuple]) -> None:
    """Raise WeightsError for tensors that a model lacks, has no place for, or has in another shape."""
    wrong = []
    if missing:
        wrong.append(f"lack {_tensors(missing)}, {min(missing)} for one")
    if unexpected:
        wrong.append(f"hold {_tensors(unexpected)} without a place in the model, {min(unexpected)} for one")
    if mismatched:
        name, held, own = min(mismatched)
        wrong.append(
            f"hold {_tensors(mismatched)} of another shape, {name} for one: {tuple(held)}, not {tuple(own)}"
        )
    if wrong:
        raise WeightsError("its weights " + " and ".join(wrong))


def _tensors(names: Collection) -> str:
    return f"{len(names)} tensor{'s' if len(names) > 1 else ''}"


def read_checkpoint(path: str | Path) -> Any:
    """What a .pth or .pt file holds, on the CPU. No code in it is run. Raises WeightsError."""
    with reading("it"):
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except UnpicklingError as error:
            raise WeightsError("it is damaged, or holds more than weights") from error


def read_safetensors(folder: str | Path) -> dict[str, Tensor]:
    """The tensors of all the .safetensors files of a folder, by name. Raises WeightsError."""
    from safetensors.torch import load_file

    files = sorted(Path(folder).glob("*.safetensors"))
    if not files:
        raise WeightsError("it has no .safetensors file")
    with reading("its weights"):
        return {name: value for file in files for name, value in load_file(file).items()}


def shape_of(weights: Mapping[str, Tensor], name: str, sizes: int) -> tuple[int, ...]:
    """A tensor's shape. Raises WeightsError where none of that name has so many sizes, all above 0."""
    if name not in weights:
        raise WeightsError(f"its weights lack the tensor {name}")
    shape = tuple(weights[name].shape)
    if len(shape) != sizes or 0 in shape:
        raise WeightsError(f"its tensor {name} is of shape {shape}, which has not {sizes} sizes above 0")
    return shape


def best_device() -> str:
    """The best device of this machine: CUDA before Apple's mps before the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def usable_device(device: str) -> str:
    """The device, after a try. Raises ModelError when this machine does not have it."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            f"Device {device} cannot be used: {one_line(error)}. Choose cpu, or none."
        ) from error
    return device


def place(model: nn.Module, device: str) -> nn.Module:
    """The model on a device. Raises WeightsError where it does not fit."""
    with reading("its weights"):
        return model.to(device)
