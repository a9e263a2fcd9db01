"""Finds a model's files: a folder as it is, or a Hub id, from the local cache or downloaded.

    folder = model_folder("Ricky06662/Seg-Zero-7B")

Without a network the answer comes at once, not after the minutes of retries that loading by id would take.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")  # not ./folder
_FILES = ["*.json", "*.safetensors", "*.txt", "*.jinja", "*.model"]
"""What is fetched: configuration, tokenizer and weights; nothing that would have to be unpickled."""


class ModelError(RuntimeError):
    """A model cannot be had, in one line: what was asked for, why it failed, what to do."""


def model_folder(model: str | Path) -> Path:
    """The local folder of a model. Raises ModelError.

    model: a folder with a config.json, or a Hub id such as "Ricky06662/Seg-Zero-7B"; a folder wins.
    """
    if not str(model):
        raise ModelError(
            "No model was named. Name a folder that has a config.json, or OWNER/NAME as on the Hub."
        )
    folder = os.path.expanduser(model)
    if os.path.isdir(folder):
        return _with_a_model(Path(folder), model)
    if not (isinstance(model, str) and _HUB_ID.fullmatch(model)):
        raise ModelError(
            f"{model} is no folder here and no Hub id. Name a folder with a config.json, or OWNER/NAME."
        )
    return _with_a_model(_fetch(model), model)


def _with_a_model(folder: Path, model: str | Path) -> Path:
    """The folder, where a whole model lies in it. Raises ModelError."""
    if os.path.isfile(folder / "adapter_config.json"):  # transformers would fetch the base that it names
        raise ModelError(
            f"{model} holds an adapter (LoRA), which is no model by itself. Name the folder of the merged "
            "model: a training writes it at its end, as `model` in its output_dir."
        )
    if not os.path.isfile(folder / "config.json"):
        raise ModelError(f"{model} holds no model: it has no config.json. Name the folder that has one.")
    return folder


def _fetch(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(model, allow_patterns=_FILES, etag_timeout=10))
    except GatedRepoError as error:
        why, advice = "its owner grants access on request", "Ask for it on its page, then run `hf auth login`"
        raise ModelError(f"{model} cannot be loaded: {why}. {advice}.") from error
    except RepositoryNotFoundError as error:
        why, advice = "the Hub has no such model, or it is private", "Check the name, or run `hf auth login`"
        raise ModelError(f"{model} cannot be loaded: {why}. {advice}.") from error
    except LocalEntryNotFoundError as error:
        why = "it is not on this machine and the Hub cannot be reached"
        advice = "Connect to the network once, or name a folder that holds it"
        raise ModelError(f"{model} cannot be loaded: {why}. {advice}.") from error
    except Exception as error:  # the library's own call alone: what a network can do is no list
        raise ModelError(
            f"{model} cannot be downloaded: {one_line(error)}. Try again, or name a folder."
        ) from error


def one_line(error: BaseException) -> str:
    """An error's message as a part of a sentence: its first line, at most 200 characters, no full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return (lines[0] if len(lines[0]) <= 200 else lines[0][:199] + "…").rstrip(".! ")
