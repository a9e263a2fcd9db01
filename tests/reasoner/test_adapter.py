"""LoRA adapters merged into their base, all of them or not at all.

python -m pytest tests/reasoner/test_adapter.py
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from segzero.hub import ModelError, is_adapter
from segzero.reasoner.adapter import base_of, merge_adapter, processor_of
from tests.shared.tiny import tiny_model, tiny_tokenizer

peft = pytest.importorskip("peft")


@pytest.fixture(scope="module")
def base():
    return tiny_model(tiny_tokenizer())


@pytest.fixture
def adapter(base, tmp_path: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    """A folder as peft saves it, of all linear layers but the vision tower's; and what merging it gives."""
    config = peft.LoraConfig(
        r=4, lora_alpha=8, target_modules="all-linear", exclude_modules=".*visual.*", init_lora_weights=False
    )
    torch.manual_seed(1)
    adapted = peft.get_peft_model(copy.deepcopy(base), config)
    adapted.save_pretrained(tmp_path)
    return tmp_path, adapted.merge_and_unload().state_dict()


def merged(base, folder: Path) -> dict[str, torch.Tensor]:
    return merge_adapter(copy.deepcopy(base), folder).state_dict()


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def rewrite(folder: Path, change: Callable[[dict], dict]) -> None:
    tensors = change(load_file(folder / "adapter_model.safetensors"))
    whole = {name: value.contiguous() for name, value in tensors.items()}
    save_file(whole, folder / "adapter_model.safetensors")


def test_an_adapter_is_merged_as_peft_merges_it(base, adapter):
    folder, wanted = adapter
    assert is_adapter(folder)
    found = merged(base, folder)
    assert same(found, wanted) and not same(found, base.state_dict())
    moved = [name for name, value in base.state_dict().items() if not torch.equal(value, found[name])]
    assert len(moved) == 14 and not any("visual" in name for name in moved)  # 7 matrices in each of 2 layers


@pytest.mark.parametrize(
    "old", ["model.layers", "language_model.model.layers", "model.language_model.model.layers"]
)
def test_names_of_older_transformers_are_known(base, adapter, old: str):
    folder, wanted = adapter
    rewrite(folder, lambda t: {name.replace("model.language_model.layers", old): t[name] for name in t})
    assert same(merged(base, folder), wanted)


@pytest.mark.parametrize(
    "change, words",
    [
        pytest.param(
            lambda t: {name.replace("layers.1", "layers.7"): t[name] for name in t},
            "has no model",
            id="deeper",
        ),
        pytest.param(lambda t: dict(list(t.items())[1:]), "no counterpart", id="one is missing"),
        pytest.param(lambda t: {n: v[:, :-1] for n, v in t.items()}, "size mismatch for", id="another size"),
        pytest.param(
            lambda t: {n.replace("lora_A", "lora_X"): t[n] for n in t}, "no counterpart", id="foreign"
        ),
        pytest.param(lambda t: {n + ".more": t[n] for n in t}, "no counterpart", id="wrapped behind"),
        pytest.param(lambda t: {"module." + n: t[n] for n in t}, "has no module", id="wrapped before"),
        pytest.param(lambda t: {"x": torch.zeros(1)}, "has no x|no LoRA", id="no adapter's"),
    ],
)
def test_tensors_that_fit_nothing_are_never_passed_over(base, adapter, change, words: str):
    folder, _ = adapter
    rewrite(folder, change)
    with pytest.raises(ModelError, match=words) as caught:
        merged(base, folder)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


def test_what_cannot_be_read_is_one_line(base, adapter):
    folder, _ = adapter
    (folder / "adapter_model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="cannot be read"):
        merged(base, folder)
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match="holds no adapter_model.safetensors"):
        merged(base, folder)


def test_its_base_and_its_processor(tmp_path: Path):
    folder = tmp_path / "star" / "lora_adapter"
    folder.mkdir(parents=True)
    config = folder / "adapter_config.json"
    config.write_text(json.dumps({"base_model_name_or_path": "Qwen/Qwen3-VL-8B-Instruct"}))
    assert base_of(folder) == "Qwen/Qwen3-VL-8B-Instruct"
    assert processor_of(folder, Path("base")) == Path("base")
    beside = tmp_path / "star" / "huggingface"
    beside.mkdir()
    for name in ("tokenizer_config.json", "preprocessor_config.json"):
        (beside / name).write_text("{}")
    assert processor_of(folder, Path("base")) == beside
    for text in ("{}", "[]", '{"base_model_name_or_path": 3}', "half a"):
        config.write_text(text)
        with pytest.raises(ModelError, match="adapter_config.json"):
            base_of(folder)
