"""A LoRA adapter as a reasoner: its base, its processor, and its weights merged, all of them or none.

    folder = model_folder("sj9909/StAR-8B/lora_adapter", adapter=True)
    if is_adapter(folder):
        model = merge_adapter(load_model(base_of(folder)), folder)

The common way to load one passes over tensors that fit nothing, and the model then answers as if it had
never been trained. Here every tensor of the file finds its place in the base, and every place gets a
tensor, or it is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from transformers import PreTrainedModel

from segzero.hub import ADAPTER_CONFIG as CONFIG
from segzero.hub import ModelError, one_line

WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_PART = re.compile(r"\.(lora_[A-Za-z]\w*|base_layer|modules_to_save)(\.|$)")
# Where modules stood in models of older transformers, and where they stand now.
_MOVED = (
    ("model.", "model.language_model."),
    ("language_model.model.", "model.language_model."),
    ("model.language_model.model.", "model.language_model."),
    ("language_model.", "model.language_model."),
    ("visual.", "model.visual."),
    ("language_model.lm_head.", "lm_head."),
)


def base_of(folder: Path) -> str:
    """The model that an adapter belongs to: a Hub id or a folder. Raises ModelError."""
    base = _config(folder).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        why = "names no base model. Write its Hub id or folder there, as base_model_name_or_path"
        raise ModelError(f"{folder / CONFIG} {why}.")
    near = folder / base  # a relative folder is meant from where the adapter lies, or from here
    return str(near) if near.is_dir() else base


def processor_of(folder: Path, base: Path) -> Path:
    """The folder of the processor it was trained with: its own, a `huggingface` beside it, or the base's."""
    for place in (folder, folder.parent / "huggingface"):
        pictures = any(
            (place / name).is_file() for name in ("processor_config.json", "preprocessor_config.json")
        )
        if pictures and (place / "tokenizer_config.json").is_file():
            return place
    return base


def merge_adapter(model: PreTrainedModel, folder: Path, *, beside: bool = False) -> PreTrainedModel:
    """The base with the adapter's weights merged into its own. Raises ModelError where not all fit.

    beside: leave them beside the base's, which are quantized and would be rounded once more.
    """
    from peft import LoraConfig, PeftConfig, PeftModel, set_peft_model_state_dict
    from safetensors.torch import load_file

    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder} holds no {WEIGHTS}. Name a folder that has both it and {CONFIG}.")
    try:
        config = PeftConfig.from_pretrained(str(folder))
        tensors = load_file(folder / WEIGHTS)
    except Exception as error:  # somebody else's file, read by somebody else's code
        raise ModelError(
            f"the adapter {folder} cannot be read: {one_line(error)}. Fetch it again."
        ) from error
    if not isinstance(config, LoraConfig):
        raise ModelError(
            f"the adapter {folder} is no LoRA but {config.peft_type}. Merge it into its base first."
        )
    tensors = _placed(tensors, model, folder)
    lora = {_PART.split(name)[0] for name in tensors if ".lora_" in name}
    config.target_modules, config.exclude_modules, config.layers_to_transform = lora, None, None
    config.megatron_config = None  # peft imports whatever module a file names for it
    config.inference_mode = True
    try:
        adapted = PeftModel(model, config)
        missed = set_peft_model_state_dict(
            adapted, {_PREFIX + name: value for name, value in tensors.items()}
        )
    except (ValueError, RuntimeError, KeyError) as error:
        sizes = (line for line in str(error).splitlines() if "size mismatch" in line)
        raise ModelError(_other_base(folder, next(sizes, one_line(error)).strip(" ."))) from error
    lacking = [name for name in missed.missing_keys if ".lora_" in name or ".modules_to_save." in name]
    if lacking or missed.unexpected_keys:
        odd = (missed.unexpected_keys or lacking)[0]
        raise ModelError(_other_base(folder, f"{odd} has no counterpart"))
    return adapted.base_model.model if beside else adapted.merge_and_unload(safe_merge=True)


def _config(folder: Path) -> dict:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / CONFIG} cannot be read: {one_line(error)}. Fetch it again.") from error
    if not isinstance(config, dict):
        raise ModelError(f"{folder / CONFIG} is no adapter's configuration. Fetch it again.")
    return config


def _placed(tensors: dict, model: PreTrainedModel, folder: Path) -> dict:
    """The tensors under the names of the base's modules as they are now. Raises ModelError for one without
    a module."""
    known = {name for name, _ in model.named_modules()}
    placed = {}
    for name, value in tensors.items():
        path = name.removeprefix(_PREFIX)
        cut = _PART.search(path)
        module, rest = (path[: cut.start()], path[cut.start() :]) if cut else path.rpartition(".")[::2]
        rest = rest if cut else f".{rest}"
        found = next((each for each in _names(module) if each in known), None)
        if found is None:
            raise ModelError(_other_base(folder, f"the base has no {module}"))
        placed[found + rest] = value
    if not any(".lora_" in name for name in placed):
        raise ModelError(f"the adapter {folder} holds no LoRA tensors. Fetch it again.")
    return placed


def _names(module: str) -> Iterable[str]:
    yield module
    for old, new in _MOVED:
        if module.startswith(old):
            yield new + module.removeprefix(old)
        elif module == old.rstrip("."):
            yield new.rstrip(".")


def _other_base(folder: Path, why: str) -> str:
    return (
        f"the adapter {folder} does not fit its base: {why}. Check base_model_name_or_path in its {CONFIG}."
    )
