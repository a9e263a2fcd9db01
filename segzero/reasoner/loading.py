"""A folder's model and processor, complete and of one another, for answering and for training.

processor = load_processor(folder)
model = load_model(folder, dtype=torch.float32)
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    BitsAndBytesConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

from segzero.hub import ModelError
from segzero.weights import WeightsError, pretrained, reading


def load_model(folder: str | Path, **options: Any) -> PreTrainedModel:
    """An image-text-to-text model with all its weights. options: from_pretrained's. Raises WeightsError."""
    return pretrained(AutoModelForImageTextToText, folder, **options)


def load_processor(folder: str | Path, model: str | Path | None = None) -> ProcessorMixin:
    """The processor of a model's folder, with that model's own tokens; PromptEncoder looks at the rest.

    model: the folder of the model's own config.json, where it lies elsewhere.
    Raises WeightsError.
    """
    files = ("processor_config.json", "preprocessor_config.json")
    if not any(os.path.isfile(Path(folder) / name) for name in files):
        raise WeightsError(f"it has no processor: neither {' nor '.join(files)}")
    with reading("its config.json"):  # the dtype given goes before the folder's own, however that is spelt
        config = AutoConfig.from_pretrained(
            model or folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False
        )
    with reading("its processor"):
        processor = _processor(folder, config)
    wanted = getattr(config, "image_token_id", None)
    if wanted is not None and getattr(processor, "image_token_id", wanted) != wanted:
        raise WeightsError("its tokenizer is missing, or belongs to another model")
    return processor


def _processor(folder: str | Path, config: Any) -> ProcessorMixin:
    """As the folder names it; or, where transformers no longer has that type, as the model's kind has it."""
    try:
        return AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception:
        if type(config) not in PROCESSOR_MAPPING:
            raise
        return PROCESSOR_MAPPING[type(config)].from_pretrained(folder, config=config, local_files_only=True)


def quantized(how: str, device: str) -> dict[str, Any]:
    """from_pretrained's options for weights of "8bit" or "4bit". Raises ModelError.

    The vision tower and the head stay as they are: pointing suffers from rounding there.
    """
    if how not in ("8bit", "4bit"):
        raise ModelError(f"weights are quantized to 8bit or 4bit, not to {how}")
    if find_spec("bitsandbytes") is None:
        raise ModelError("quantizing wants a package that is not here: pip install bitsandbytes")
    config = BitsAndBytesConfig(
        load_in_8bit=how == "8bit",
        load_in_4bit=how == "4bit",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=["model.visual", "lm_head"],
    )
    return {"quantization_config": config, "device_map": {"": device}}
