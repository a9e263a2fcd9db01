"""The published shapes are what they say, and a small one goes the whole way.

python -m pytest tests/benchmarks/test_real_shape.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open

from benchmarks import real_shape
from benchmarks.random_weights import NAMES, Shape, read_shape, stored_tensors, tokenizer, write_model
from benchmarks.real_shape import bytes_a_token, measure
from segzero.reasoner import Reasoner

TENSORS = {"qwen2.5-vl-3b": 824, "qwen3-vl-4b": 713}
"""In the published files, by those who counted them."""


@pytest.mark.parametrize("name", NAMES)
def test_a_shape_has_as_many_parameters_as_the_published_weights(name: str):
    shape = read_shape(name)
    assert sum(each.numel() for each in shape.build().parameters()) == shape.parameters
    tensors = stored_tensors(shape)
    assert len(tensors) == TENSORS.get(name, len(tensors))
    assert shape.source and shape.model.count("/") == 1


@pytest.mark.parametrize(
    ("name", "stored", "not_stored"),
    [
        ("qwen2.5-vl-3b", ["visual.blocks.0.attn.qkv.weight", "model.embed_tokens.weight"], "lm_head.weight"),
        ("qwen2.5-vl-7b", ["model.layers.27.mlp.up_proj.weight", "lm_head.weight"], "model.visual.merger"),
        ("qwen3-vl-2b", ["model.language_model.layers.27.self_attn.q_norm.weight"], "lm_head.weight"),
        ("qwen3-vl-8b", ["model.visual.deepstack_merger_list.2.norm.weight", "lm_head.weight"], ""),
        ("sam2.1-large", ["vision_encoder.backbone.blocks.47.attn.qkv.weight"], "vision_encoder.pos_embed"),
    ],
)
def test_tensors_have_their_published_names(name: str, stored: list[str], not_stored: str):
    tensors = stored_tensors(read_shape(name))
    assert set(stored) <= tensors.keys() and not_stored not in tensors


def test_the_tokenizer_has_the_published_ids_and_knows_the_prompt():
    known = tokenizer("Please find the umbrella.")
    ids = {"<|endoftext|>": 151643, "<|im_end|>": 151645, "<|image_pad|>": 151655, "<|file_sep|>": 151664}
    assert known.convert_tokens_to_ids(list(ids)) == list(ids.values())
    assert len(known("Please find the umbrella.").input_ids) == 5
    assert known.decode(known("élan 7").input_ids) == "élan 7"


def shrunk(name: str) -> Shape:
    """The shape with the layers of a small model, its words and files as they are."""
    shape = read_shape(name)
    config = json.loads(json.dumps(shape.config))
    text = config.get("text_config", config)
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 128}
    text |= {"hidden_size": 256, "intermediate_size": 64, "num_hidden_layers": 3, **heads}
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 256, "depth": 3}
    vision |= {"deepstack_visual_indexes": [0, 1, 2]} if "text_config" in config else {}
    config["vision_config"] |= vision
    return replace(shape, config=config)


@pytest.mark.parametrize("name", ["qwen2.5-vl-3b", "qwen2.5-vl-7b", "qwen3-vl-8b"])
def test_a_small_one_is_written_loaded_and_timed(name: str, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(real_shape, "_BUFFER", 1 << 20)
    shape = shrunk(name)
    write_model(shape, tmp_path)
    files = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert len(files) == shape.files and files[0] == f"model-00001-of-{shape.files:05d}.safetensors"
    with safe_open(tmp_path / files[0], "pt") as file:
        first = list(file.keys())[0]
        assert str(file.get_tensor(first).dtype) == "torch.bfloat16"
    found = measure(shape, tmp_path, "cpu", tokens=4)
    assert found["tokens"] == 4 and found["first_token_s"] > 0 and found["ms_a_token"] > 0
    reasoner = Reasoner.load(tmp_path, device="cpu")
    layers = sum(each.nbytes for each in reasoner.model.model.language_model.layers.parameters())
    words = text_words(shape) * 256 * 4  # the head, in fp32 on a CPU
    assert bytes_a_token(reasoner.model) == layers + words + 256 * 4  # and the last norm


def text_words(shape: Shape) -> int:
    return shape.config.get("text_config", shape.config)["vocab_size"]
