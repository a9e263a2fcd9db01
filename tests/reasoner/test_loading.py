"""A reasoner's folder of another version or program: it answers all the same, or one line says why not.

python -m pytest tests/reasoner/test_loading.py
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from segzero.contract import MULTI
from segzero.hub import ModelError
from segzero.reasoner import Reasoner, load_model, load_processor
from segzero.weights import WeightsError
from tests.shared.tiny import save_tiny_reasoner


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_tiny_reasoner(tmp_path_factory.mktemp("reasoner"))


def rewritten(folder: Path, change) -> None:
    """A folder's weights as `change` makes them."""
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


LORA = "model.language_model.layers.0.self_attn.q_proj.lora_A.weight"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: {f"base_model.model.{k}": v for k, v in w.items()}, "lack 57 tensors, .*base_model"),
        (lambda w: {f"_fsdp_wrapped_module.{k}": v for k, v in w.items()}, "lack 57 tensors, .*_fsdp"),
        (lambda w: dict(list(w.items())[::2]), "lack 28 tensors"),
        (lambda w: w | {LORA: torch.zeros(2, 2)}, "hold 1 tensor without a place in the model, .*lora_A"),
        (lambda w: w | {"lm_head.weight": torch.zeros(5, 32)}, r"lm_head.weight for one: \(5, 32\)"),
    ],
    ids=["adapter", "sharded", "half", "lora", "shape"],
)
def test_foreign_weights_are_refused_for_answering_and_for_training(folder, tmp_path, change, said):
    odd = Path(shutil.copytree(folder, tmp_path / "odd"))
    rewritten(odd, change)
    with pytest.raises(ModelError, match=said) as caught:
        Reasoner.load(odd, device="cpu")
    assert "\n" not in str(caught.value)
    with pytest.raises(WeightsError, match=said):
        load_model(odd, dtype="float32")


def test_the_names_of_older_transformers_are_known(folder: Path, tmp_path: Path):
    old = Path(shutil.copytree(folder, tmp_path / "old"))
    moved = (("model.language_model.", "model."), ("model.visual.", "visual."))

    def rename(weights: dict) -> dict:
        for now, then in moved:
            weights = {name.replace(now, then): value for name, value in weights.items()}
        return weights

    rewritten(old, rename)
    known, found = (Reasoner.load(each, device="cpu").model.state_dict() for each in (folder, old))
    assert all(torch.equal(known[name], found[name]) for name in known)


def settings(folder: Path, name: str, **changes) -> None:
    told = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(told | changes))


def own_template(folder: Path) -> None:
    """The template in tokenizer_config.json alone, where transformers 4 kept it."""
    template = folder / "chat_template.jinja"
    settings(folder, "tokenizer_config.json", chat_template=template.read_text())
    template.unlink()


def image_processor(folder: Path, kind: str) -> None:
    """The picture's settings in preprocessor_config.json, as transformers 4.49 wrote them for Qwen2.5-VL."""
    told = json.loads((folder / "processor_config.json").read_text())["image_processor"]
    del told["size"]
    told |= {"image_processor_type": kind, "min_pixels": 3136, "max_pixels": 12845056}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    (folder / "processor_config.json").unlink()


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: settings(folder, "config.json", dtype="bf16"),
        lambda folder: settings(folder, "config.json", dtype="torch.bfloat16"),
        lambda folder: settings(folder, "config.json", torch_dtype="bf16"),
        own_template,
        lambda folder: image_processor(folder, "Qwen2_5_VLImageProcessor"),
        lambda folder: image_processor(folder, "Qwen2VLImageProcessorFast"),
    ],
    ids=["bf16", "torch.bfloat16", "old key", "tokenizer's template", "old picture type", "fast"],
)
def test_a_folder_of_another_version_answers_all_the_same(folder: Path, tmp_path: Path, change):
    odd = Path(shutil.copytree(folder, tmp_path / "odd"))
    change(odd)
    known, found = Reasoner.load(folder, device="cpu"), Reasoner.load(odd, device="cpu")
    picture, prompt = Image.new("RGB", (56, 56), "red"), MULTI.prompt("Which side?")
    inputs = [each.encoder([picture], [prompt]) for each in (known, found)]
    assert all(torch.equal(inputs[0][name], inputs[1][name]) for name in ("input_ids", "pixel_values"))
    assert found.model.dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", "null"),
        ("config.json", "[" * 100_000),
        ("config.json", '{"model_type": "qwen2_5_vl", "text_config": 5}'),
        ("config.json", '{"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}'),
        ("tokenizer.json", '{"model": 3}'),
        ("tokenizer_config.json", "7"),
        ("processor_config.json", "3"),
        ("generation_config.json", "[]"),
        ("chat_template.jinja", "{% for"),
        ("chat_template.jinja", "{{ messages[7].role }}"),
        ("model.safetensors.index.json", "[]"),
        ("model.safetensors", ""),
    ],
)
def test_whatever_a_file_holds_is_one_line_with_its_cause(folder, tmp_path, name, content):
    odd = Path(shutil.copytree(folder, tmp_path / "odd"))
    (odd / name).write_text(content)
    if name.endswith("index.json"):
        (odd / "model.safetensors").unlink()
    with pytest.raises(ModelError) as caught:
        Reasoner.load(odd, device="cpu")
    assert "odd" in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.__cause__.__cause__ is not None


def test_a_training_starts_from_no_folder_without_a_processor(folder: Path, tmp_path: Path):
    bare = Path(shutil.copytree(folder, tmp_path / "bare"))
    (bare / "processor_config.json").unlink()
    with pytest.raises(WeightsError, match="no processor"):
        load_processor(bare)
