"""What SAM 2 is loaded from: folders of other versions, official files, trainings' files, and what is none.

python -m pytest tests/segmenter/test_sam2_checkpoints.py
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.transforms import Compose, Normalize, Resize, ToTensor
from transformers import Sam2Model

from segzero.hub import ModelError
from segzero.segmenter import Segmenter
from segzero.segmenter.sam2_official import VIDEO, _config, from_official
from tests.shared.tiny import save_tiny_sam2

ONE = "shared_image_embedding.positional_embedding"
OTHER = "prompt_encoder.shared_embedding.positional_embedding"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_tiny_sam2(tmp_path_factory.mktemp("sam2"))


def changed(folder: Path, to: Path, change) -> Path:
    """A copy whose weights are what `change` makes of them."""
    shutil.copytree(folder, to)
    weights = change(load_file(folder / "model.safetensors"))
    save_file(weights, to / "model.safetensors", metadata={"format": "pt"})
    return to


def state_of(source: Path) -> dict[str, torch.Tensor]:
    return Segmenter.load(source, device="cpu").backend.model.state_dict()


def one_line(source: Path) -> str:
    with pytest.raises(ModelError) as caught:
        Segmenter.load(source, device="cpu")
    assert "\n" not in str(caught.value) and str(source) in str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------------------------------------- folders


@pytest.mark.parametrize("lost", [ONE, OTHER])
def test_the_tied_embedding_is_filled_from_its_other_name(folder, tmp_path, lost):
    known = state_of(folder)
    half = changed(folder, tmp_path / "half", lambda w: {k: v for k, v in w.items() if k != lost})
    kept = known[ONE if lost == OTHER else OTHER]
    for _ in range(2):
        found = state_of(half)
        assert torch.equal(found[ONE], kept) and torch.equal(found[OTHER], kept)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: {f"module.{k}": v for k, v in w.items()}, "lack .* tensors, .*module"),
        (lambda w: dict(list(w.items())[::2]), "lack .* tensors"),
        (lambda w: {k: v for k, v in w.items() if k not in (ONE, OTHER)}, "lack 2 tensors"),
        (lambda w: w | {"adapter.down": torch.zeros(1)}, "hold 1 tensor without a place in the model"),
        (lambda w: {k: v[..., :-1].clone() if k == ONE else v for k, v in w.items()}, f"shape, {ONE} for"),
        (lambda w: {"image_encoder.x": torch.zeros(1)}, "lack .* and hold 1 tensor"),
    ],
    ids=["wrapped", "half", "no tie", "adapter", "shape", "foreign"],
)
def test_a_folder_with_other_tensors_is_refused(folder, tmp_path, change, said):
    assert re.search(said, one_line(changed(folder, tmp_path / "odd", change)))


def test_video_weights_beside_them_are_what_the_published_folders_hold(folder, tmp_path):
    video = changed(folder, tmp_path / "v", lambda w: w | {"memory_encoder.fuser.x": torch.zeros(1)})
    config = json.loads((video / "config.json").read_text())
    (video / "config.json").write_text(json.dumps(config | {"model_type": "sam2_video"}))
    assert state_of(video).keys() == state_of(folder).keys()


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("config.json", {"dtype": "bf16"}, None),
        ("config.json", {"dtype": "torch.bfloat16"}, None),
        ("config.json", {"vision_config": 3}, "config.json cannot be read"),
        ("processor_config.json", {"image_processor": {"size": {"height": 9, "width": 9}}}, "9 x 9 pixels"),
        ("processor_config.json", {"image_processor": {"image_processor_type": "Sam2OldExtractor"}}, None),
    ],
)
def test_odd_settings_work_or_are_one_line(folder, tmp_path, name, change, said):
    odd = Path(shutil.copytree(folder, tmp_path / "odd"))
    settings = json.loads((odd / name).read_text())
    for key, value in change.items():
        settings[key] = settings[key] | value if isinstance(value, dict) else value
    (odd / name).write_text(json.dumps(settings))
    if said is None:
        assert all(value.dtype == torch.float32 for value in state_of(odd).values())
    else:
        assert said in one_line(odd)


def test_a_folder_without_a_processor_is_one_line(folder, tmp_path):
    bare = Path(shutil.copytree(folder, tmp_path / "bare"))
    (bare / "processor_config.json").unlink()
    assert "image processor cannot be read" in one_line(bare)


# ------------------------------------------------------------------------------------------- official files


OFFICIAL = (  # transformers' names -> those of the sam2 package, read off its own state_dict
    (r"^vision_encoder\.backbone\.patch_embed\.projection\.", "image_encoder.trunk.patch_embed.proj."),
    (r"^vision_encoder\.backbone\.", "image_encoder.trunk."),
    (r"^vision_encoder\.neck\.convs\.(\d)\.", r"image_encoder.neck.convs.\1.conv."),
    (r"^(prompt_encoder|mask_decoder)\.", r"sam_\1."),
    (r"\.mask_embed\.(conv|layer_norm)(\d)\.", lambda m: f".mask_downscaling.{_DOWN[m[1] + m[2]]}."),
    (r"\.shared_embedding\.positional_embedding", ".pe_layer.positional_encoding_gaussian_matrix"),
    (r"\.upscale_conv1\.", ".output_upscaling.0."),
    (r"\.upscale_layer_norm\.", ".output_upscaling.1."),
    (r"\.upscale_conv2\.", ".output_upscaling.3."),
    (r"\.layer_norm_final_attn\.", ".norm_final_attn."),
    (r"\.layer_norm(\d)\.", r".norm\1."),
    (r"\.o_proj\.", ".out_proj."),
    (r"(_mlps\.\d|_head)\.layers\.0\.", r"\1.layers.1."),
    (r"(_mlps\.\d|_head)\.proj_in\.", r"\1.layers.0."),
    (r"(_mlps\.\d|_head)\.proj_out\.", r"\1.layers.2."),
    (r"\.mlp\.proj_in\.", ".mlp.layers.0."),
    (r"\.mlp\.proj_out\.", ".mlp.layers.1."),
    (r"^no_memory_embedding$", "no_mem_embed"),
)
_DOWN = {"conv1": 0, "layer_norm1": 1, "conv2": 3, "layer_norm2": 4, "conv3": 6}


def official(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Sam2Model's weights as the sam2 package saves them, with two that only video needs."""
    named = {"memory_encoder.out_proj.bias": torch.zeros(1), "obj_ptr_tpos_proj.bias": torch.zeros(1)}
    for name, value in state.items():
        if name == ONE:
            continue
        for pattern, new in OFFICIAL:
            name = re.sub(pattern, new, name)
        if name == "sam_prompt_encoder.point_embed.weight":
            named |= {f"sam_prompt_encoder.point_embeddings.{i}.weight": value[i : i + 1] for i in range(4)}
        else:
            named[name] = value
    return named


@pytest.fixture(scope="module")
def tiny() -> dict[str, torch.Tensor]:
    """A published size, tiny, under its official names. Each tensor is one number, so files are small."""
    width_and_blocks = {"image_encoder.trunk.patch_embed.proj.weight": torch.zeros(96, 3, 7, 7)}
    width_and_blocks |= {f"image_encoder.trunk.blocks.{i}.norm1.bias": torch.zeros(96) for i in range(12)}
    with torch.device("meta"):
        shapes = Sam2Model(_config(width_and_blocks)).state_dict()
    rng = torch.Generator().manual_seed(0)
    return official({name: torch.rand(1, generator=rng).expand(v.shape) for name, v in shapes.items()})


def test_the_names_go_back_and_forth(folder):
    state = state_of(folder)
    state[ONE] = state[OTHER]  # one tensor there
    again = from_official(official(state))
    assert again.keys() == state.keys() and all(torch.equal(again[name], state[name]) for name in state)


@pytest.mark.parametrize("name", ["no_mem_embed", "sam_mask_decoder.obj_score_token.weight"])
def test_what_a_picture_needs_is_not_taken_for_the_videos(name):
    assert not VIDEO.match(name)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda w: {"model": w},
        lambda w: w,
        lambda w: {"state_dict": {f"module.{k}": v for k, v in w.items()}, "optimizer": {"state": {}}},
    ],
    ids=["official", "bare", "training"],
)
def test_an_official_checkpoint_loads_however_it_is_wrapped(tiny, tmp_path, wrap):
    torch.save(wrap(tiny), tmp_path / "sam2.1_hiera_tiny.pt")
    model = Segmenter.load(tmp_path / "sam2.1_hiera_tiny.pt", device="cpu").backend.model
    config = model.config.vision_config.backbone_config
    assert (config.num_attention_heads_per_stage, config.global_attention_blocks) == ([1, 2, 4, 8], [5, 7, 9])
    assert torch.equal(model.no_memory_embedding.detach(), tiny["no_mem_embed"])


def without(weights: dict, word: str) -> dict:
    return {name: value for name, value in weights.items() if word not in name}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda w: [torch.zeros(1)], "no weights of SAM or SAM 2"),
        (lambda w: {"model": {"backbone.x": torch.zeros(1)}, "optimizer": {}}, "no weights of SAM"),
        (lambda w: {"model": w, "ema": w}, "the weights of 2 models"),
        (lambda w: {"model": w, "args": argparse.Namespace(lr=1)}, "damaged, or holds more than weights"),
        (lambda w: {"model": without(w, "trunk.blocks.11.")}, "11 blocks of width 96 are none"),
        (lambda w: {"model": without(w, "point_embeddings.2")}, "lack 1 tensor, prompt_encoder.point_embed"),
        (lambda w: {"model": w | {"adapter.x": torch.zeros(1)}}, "hold 1 tensor without a place"),
        (lambda w: 7, "no weights of SAM or SAM 2"),
    ],
    ids=["list", "other project", "two", "more than weights", "size", "point", "adapter", "number"],
)
def test_another_checkpoint_is_one_line(tiny, tmp_path, content, said):
    torch.save(content(tiny), tmp_path / "x.pt")
    assert said in one_line(tmp_path / "x.pt")


# -------------------------------------------------------------------------------------------------- pixels


@pytest.mark.parametrize("size", [(60, 40), (40, 90), (150, 200), (3, 300), (1, 1)])
def test_pictures_are_resized_as_the_sam2_package_resizes_them(folder, size, monkeypatch):
    """The package: ToTensor, Resize to a square, Normalize, in floats all the way."""
    width, height = size
    rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    theirs = Compose([ToTensor(), Resize((64, 64)), Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    backend, seen = Segmenter.load(folder, device="cpu").backend, []
    monkeypatch.setattr(backend.model, "get_image_embeddings", lambda pixels: seen.append(pixels) or [])
    backend.encode(rgb)
    assert torch.equal(seen[0][0], theirs(rgb))
