"""Adapters, quantized weights and machines that are too small, by way of segzero.load.

python -m pytest tests/reasoner/test_small_machines.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import segzero
from segzero.contract import MINI, MULTI, Frame
from segzero.hub import ModelError
from segzero.pictures import load_picture
from segzero.reasoner import Reasoner
from segzero.room import GB, Room
from tests.shared.tiny import save_tiny_reasoner

TINY = replace(MINI, frame=Frame(frame_px=56), max_new_tokens=12)


def save_adapter(folder: Path, base: Path) -> dict[str, torch.Tensor]:
    """What peft saves of an adapter to `base`; returns the merged weights."""
    import peft

    model = Reasoner.load(base, device="cpu").model
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    adapted = peft.get_peft_model(model, config)
    adapted.save_pretrained(folder)
    record = json.loads((folder / "adapter_config.json").read_text())
    record["base_model_name_or_path"] = str(base)
    (folder / "adapter_config.json").write_text(json.dumps(record))
    return adapted.merge_and_unload().state_dict()


@pytest.fixture(params=["qwen2_5_vl", "qwen3_vl"])
def base(request, tmp_path: Path) -> Path:
    return save_tiny_reasoner(tmp_path / "base", request.param)


def test_an_adapter_opens_by_its_folder_with_its_bases_processor(base: Path, tmp_path: Path):
    wanted = save_adapter(tmp_path / "adapter", base)
    (tmp_path / "adapter" / "segzero.json").write_text('{"frame_px": 84, "dialect": "star", "grid": 1000}')
    pipeline = segzero.load(TINY, reasoner=tmp_path / "adapter", segmenter=object(), device="cpu")
    found = pipeline.reasoner.model.state_dict()
    assert found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert (pipeline.preset.frame, pipeline.preset.dialect.name) == (Frame(frame_px=84, grid=1000), "star")


def test_an_adapter_whose_base_is_not_there_is_one_line(base: Path, tmp_path: Path):
    save_adapter(tmp_path / "adapter", base)
    config = tmp_path / "adapter" / "adapter_config.json"
    config.write_text(config.read_text().replace(str(base), str(tmp_path / "gone")))
    with pytest.raises(ModelError, match="gone is no folder here") as caught:
        segzero.load(TINY, reasoner=tmp_path / "adapter", segmenter=object(), device="cpu")
    assert "\n" not in str(caught.value)


def test_an_adapter_in_a_repository_is_fetched_with_its_processor_and_nothing_that_is_unpickled(
    base: Path, tmp_path: Path, monkeypatch
):
    asked = {}
    save_adapter(tmp_path / "repository" / "lora_adapter", base)

    def snapshot_download(repo_id: str, allow_patterns: list[str], **how):
        asked.update(repo_id=repo_id, patterns=allow_patterns)
        return [] if how.get("dry_run") else str(tmp_path / "repository")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    segzero.load(TINY, reasoner="owner/name/lora_adapter", segmenter=object(), device="cpu")
    assert asked["repo_id"] == "owner/name"
    assert {"lora_adapter/*.json", "lora_adapter/*.safetensors", "huggingface/*.json"} <= set(
        asked["patterns"]
    )
    assert not any(pattern.endswith((".bin", ".pt", ".pkl", "*")) for pattern in asked["patterns"])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["8bit", "4bit"])
def test_quantized_weights_answer_and_see_as_before(how: str):
    pytest.importorskip("bitsandbytes")
    picture = load_picture(Path(MINI.reasoner).parents[1] / "examples" / "rain.webp")
    whole, small = (Reasoner.load(MINI.reasoner, device="cpu", quantize=each) for each in (None, how))
    said = [
        "".join(each.stream(MINI.frame.show(picture), MULTI.prompt("What could keep me dry?")))
        for each in (whole, small)
    ]
    first, second = (MINI.parse(text, picture.size).targets[0] for text in said)
    assert all(abs(a - b) < 12 for a, b in zip(first.box_xyxy, second.box_xyxy, strict=True))
    kinds = {name: type(module).__name__ for name, module in small.model.named_modules()}
    linear = {kind for name, kind in kinds.items() if "language_model" in name and "proj" in name}
    assert linear == {"Linear8bitLt" if how == "8bit" else "Linear4bit"}
    assert kinds["lm_head"] == kinds["model.visual.merger.mlp.0"] == "Linear"


def test_another_way_to_quantize_is_one_line(base: Path):
    with pytest.raises(ModelError, match="8bit or 4bit, not to 2bit"):
        Reasoner.load(base, device="cpu", quantize="2bit")


def test_a_model_that_does_not_fit_is_refused_before_the_first_byte(monkeypatch, caplog, base: Path):
    fetched = []
    file = SimpleNamespace(filename="model.safetensors", file_size=int(16.6 * GB), will_download=True)

    def snapshot_download(dry_run: bool = False, **how):
        if dry_run:
            return [file]
        fetched.append(how)
        return str(base)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.setattr("segzero.room.room_here", lambda device, cache: Room(100 * GB, 12 * GB, "machine"))
    with pytest.raises(ModelError, match="it takes 18.6 GB of memory, and the machine has 12.0 GB") as caught:
        segzero.load(TINY, reasoner="owner/seven-b", segmenter=object(), device="cpu")
    assert "--preset qwen3-vl-4b would fit" in str(caught.value) and "--force" in str(caught.value)
    assert not fetched and "owner/seven-b: 16.6 GB to come" in caplog.text
    pipeline = segzero.load(TINY, reasoner="owner/seven-b", segmenter=object(), device="cpu", force=True)
    assert fetched and isinstance(pipeline.reasoner, Reasoner)
