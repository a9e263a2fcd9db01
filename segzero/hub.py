"""Finds a model's files: a folder as it is, or a Hub id, from the local cache or downloaded.

    folder = model_folder("Ricky06662/Seg-Zero-7B")

Without a network the answer comes at once, not after the minutes of retries that loading by id would take.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segzero.room import Load, gigabytes

log = logging.getLogger(__name__)

_HUB_ID = re.compile(r"\w[\w.-]{0,95}(/\w[\w.-]{0,95}){1,8}")  # owner/name, or a folder in it; not ./folder
ADAPTER_CONFIG = "adapter_config.json"
_BESIDE = "huggingface"  # where StAR's repositories keep their processor
_FILES = ["*.json", "*.safetensors", "*.txt", "*.jinja", "*.model"]
"""What is fetched: configuration, tokenizer and weights; nothing that would have to be unpickled."""


class ModelError(RuntimeError):
    """A model cannot be had, in one line: what was asked for, why it failed, what to do."""


def model_folder(
    model: str | Path, *, adapter: bool = False, lacking: Callable[[Load], str] | None = None
) -> Path:
    """The local folder of a model. Raises ModelError.

    model: a folder with a config.json, a Hub id such as "Ricky06662/Seg-Zero-7B", or a folder in a
    repository, such as "sj9909/StAR-8B/lora_adapter"; a folder here wins.
    adapter: one of a LoRA adapter will do as well.
    lacking: says before a download begins what this machine lacks for it; "" lets it begin.
    """
    if not str(model):
        raise ModelError(
            "No model was named. Name a folder that has a config.json, or OWNER/NAME as on the Hub."
        )
    folder = os.path.expanduser(model)
    if os.path.isdir(folder):
        return _with_a_model(Path(folder), model, adapter)
    if not (isinstance(model, str) and _HUB_ID.fullmatch(model)):
        raise ModelError(
            f"{model} is no folder here and no Hub id. Name a folder with a config.json, or OWNER/NAME."
        )
    return _with_a_model(_fetch(model, lacking), model, adapter)


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds a LoRA adapter, which is no model without its base."""
    return os.path.isfile(folder / ADAPTER_CONFIG)


def _with_a_model(folder: Path, model: str | Path, adapter: bool) -> Path:
    """The folder, where a whole model lies in it. Raises ModelError."""
    if is_adapter(folder):  # transformers would fetch the base that it names
        if adapter:
            return folder
        raise ModelError(
            f"{model} holds an adapter (LoRA), which is no model by itself. Name the folder of the merged "
            "model: a training writes it at its end, as `model` in its output_dir."
        )
    if not os.path.isfile(folder / "config.json"):
        raise ModelError(f"{model} holds no model: it has no config.json. Name the folder that has one.")
    return folder


def _fetch(model: str, lacking: Callable[[Load], str] | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

    owner, name, *inside = model.split("/")
    folders = ["/".join(inside), _BESIDE] if inside else [""]
    wanted = [f"{folder}/{pattern}".lstrip("/") for folder in folders for pattern in _FILES]
    how = {"repo_id": f"{owner}/{name}", "allow_patterns": wanted, "etag_timeout": 10}
    if problem := lacking(_load(how)) if lacking else "":
        raise ModelError(f"{model} is not fetched: {problem}. Or go on all the same, with --force.")
    try:
        return Path(snapshot_download(**how), *inside)
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


def _load(how: dict[str, Any]) -> Load:
    """What a download would bring. Without a network nothing is known of it, and nothing would come."""
    from huggingface_hub import snapshot_download

    try:
        files = snapshot_download(**how, dry_run=True)
    except Exception:  # the library's own call alone; why, the download itself will say
        return Load(0, 0)
    weights = sum(file.file_size for file in files if file.filename.endswith(".safetensors"))
    load = Load(sum(file.file_size for file in files if file.will_download), weights)
    if load.download:
        log.warning("%s: %s to come", how["repo_id"], gigabytes(load.download))
    return load


def hub_cache() -> Path:
    """Where downloads lie."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def one_line(error: BaseException) -> str:
    """An error's message as a part of a sentence: its first line, at most 200 characters, no full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return (lines[0] if len(lines[0]) <= 200 else lines[0][:199] + "…").rstrip(".! ")
