"""Folders like the published models', with random weights: the same configuration, files, tensors and tokens.

    shape = read_shape("qwen3-vl-2b")               # benchmarks/shapes/qwen3-vl-2b.json says where it is from
    write_model(shape, Path("runs/shapes/qwen3-vl-2b"))

For timing what cannot be downloaded. Answers mean nothing; a prompt has about as many tokens as a real one
has, for its words are trained into the tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedModel, Qwen2Tokenizer

from segzero.contract import PRESETS

SHAPES = Path(__file__).parent / "shapes"
NAMES = tuple(sorted(path.stem for path in SHAPES.glob("*.json")))
WORDS = 151_643  # of Qwen's vocabulary; its special tokens follow
_LEARNED = 1_500
SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>",
    "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
)  # fmt: skip
_SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
_TURN = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_TEMPLATES = {"qwen2_5_vl": _SYSTEM + _TURN, "qwen3_vl": _TURN}
"""What their own templates make of one question about one picture."""


@dataclass(frozen=True)
class Shape:
    """A published model, as a file of benchmarks/shapes has it.

    model: its id. source: where the configuration was read. parameters: how many, by a source other than the
    configuration. files: into how many its weights are split. preset: which one asks it as it is asked, None
    for a segmenter. stored_names: beginnings of tensors' names, in the model and in its files.
    """

    model: str
    source: str
    parameters: int
    files: int
    config: dict[str, Any]
    preprocessor_config: dict[str, Any]
    preset: str | None = None
    generation_config: dict[str, Any] | None = None
    stored_names: dict[str, str] = field(default_factory=dict)

    def build(self) -> PreTrainedModel:
        """The model without memory for its weights, on the device "meta"."""
        kind = getattr(transformers, self.config["architectures"][0])
        with torch.device("meta"):
            return kind(kind.config_class.from_dict(dict(self.config)))


def read_shape(name: str) -> Shape:
    """One of NAMES."""
    return Shape(**json.loads((SHAPES / f"{name}.json").read_text(encoding="utf-8")))


def write_model(shape: Shape, folder: Path) -> None:
    """Write a folder that Reasoner.load or Segmenter.load opens; needs the memory of its largest file."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "config.json", shape.config)
    _write(folder / "preprocessor_config.json", shape.preprocessor_config)
    _write_weights(shape, folder)
    if shape.preset is not None:
        _write(folder / "generation_config.json", shape.generation_config)
        _write(folder / "chat_template.json", {"chat_template": _TEMPLATES[shape.config["model_type"]]})
        tokenizer(PRESETS[shape.preset].dialect.prompt("what keeps me dry?")).save_pretrained(folder)


def stored_tensors(shape: Shape) -> dict[str, torch.Tensor]:
    """What its files hold, by the names they have there, without memory; a tied tensor once."""
    model = shape.build()
    tied = set(model.all_tied_weights_keys)
    return {
        _stored_name(name, shape): tensor for name, tensor in model.state_dict().items() if name not in tied
    }


def tokenizer(text: str) -> Qwen2Tokenizer:
    """Qwen's tokenizer class and special tokens at their published ids, that knows the words of a text.

    Its other words are there and can be said, but nothing is read as one of them.
    """
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        [text] * 3,
        trainers.BpeTrainer(vocab_size=_LEARNED, initial_alphabet=alphabet, show_progress=False),
    )
    state = json.loads(backend.to_str())["model"]
    words = state["vocab"] | {f" word {index}": index for index in range(len(state["vocab"]), WORDS)}
    words |= {token: index for index, token in enumerate(SPECIAL_TOKENS, start=WORDS)}
    return Qwen2Tokenizer(
        vocab=words,
        merges=[tuple(pair) for pair in state["merges"]],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL_TOKENS),
    )


def _write_weights(shape: Shape, folder: Path) -> None:
    tensors = stored_tensors(shape)
    dtype = torch.bfloat16 if shape.preset is not None else torch.float32
    torch.manual_seed(0)
    where = {}
    for number, names in enumerate(_parts(tensors, shape.files), start=1):
        end = "" if shape.files == 1 else f"-{number:05d}-of-{shape.files:05d}"
        file = f"model{end}.safetensors"
        part = {name: _random(name, tensors[name].shape, dtype) for name in names}
        save_file(part, folder / file, metadata={"format": "pt"})
        where |= dict.fromkeys(names, file)
    if shape.files > 1:
        size = sum(tensor.numel() for tensor in tensors.values()) * dtype.itemsize
        _write(
            folder / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": where}
        )


def _parts(tensors: dict[str, torch.Tensor], count: int) -> Iterator[list[str]]:
    """The names in order, in `count` parts of about the same size."""
    total, seen = sum(tensor.numel() for tensor in tensors.values()), 0
    parts: list[list[str]] = [[] for _ in range(count)]
    for name, tensor in tensors.items():
        parts[min(count * seen // total, count - 1)].append(name)
        seen += tensor.numel()
    yield from parts


def _random(name: str, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
    """Small numbers; norms and biases as before training, so that nothing grows beyond what bf16 can say."""
    if len(shape) == 1:
        return torch.zeros(shape, dtype=dtype) if name.endswith("bias") else torch.ones(shape, dtype=dtype)
    return torch.empty(shape, dtype=dtype).normal_(0, 0.02)


def _stored_name(name: str, shape: Shape) -> str:
    for inside, stored in shape.stored_names.items():
        if name.startswith(inside):
            return stored + name.removeprefix(inside)
    return name


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
