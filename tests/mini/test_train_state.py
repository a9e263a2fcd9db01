"""The mini's trainers over damaged or foreign files: one line, and nothing is trained or overwritten.

python -m pytest tests/mini/test_train_state.py
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor

from tests.shared.tiny import mini_segmenter
from train.mini import train_reasoner, train_segmenter

WEIGHTS = Path(__file__).resolve().parents[2] / "assets" / "mini" / "reasoner"


def refused(module, monkeypatch, *argv: object) -> str:
    """The one line that a command ends in."""
    monkeypatch.setattr(sys, "argv", ["train", *map(str, argv)])
    monkeypatch.setattr(module, "train", lambda *args, **kwargs: pytest.fail("it trained"))
    with pytest.raises(SystemExit) as caught:
        module.main()
    said = str(caught.value)
    assert said.startswith(f"{module.__name__.rpartition('.')[2]}: ") and "\n" not in said
    return said


@pytest.fixture(scope="module")
def states(tmp_path_factory) -> dict:
    """A run's folder with its state, of each trainer, by its module."""
    reasoner = tmp_path_factory.mktemp("reasoner")
    plan = train_reasoner.Plan(minutes=1)
    train_reasoner.Run(AutoProcessor.from_pretrained(WEIGHTS), plan, 0).save(reasoner)
    segmenter = tmp_path_factory.mktemp("segmenter")
    config = mini_segmenter().model.config
    train_segmenter.Run(train_segmenter.Plan(begin=0, end=9), seed=0, config=config).save(segmenter)
    return {train_reasoner: reasoner, train_segmenter: segmenter}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def change(path: Path, **parts: object) -> None:
    torch.save(torch.load(path, weights_only=True) | parts, path)


HARMS = {
    "empty": (lambda path: path.write_bytes(b""), "is damaged"),
    "cut short": (cut, "is damaged"),
    "a wrong byte": (flip, r"is damaged \(its check sums"),
    "no state": (lambda path: path.write_text("hello"), "is damaged"),
    "a list": (lambda path: torch.save([1, 2], path), "is no state of this training: it has no model"),
    "other parts": (lambda path: torch.save({"model": {}}, path), "is no state of this training"),
    "another model": (lambda path: change(path, model={"a": torch.zeros(1)}), "does not fit this training"),
    "no step": (lambda path: change(path, step="third"), "does not fit this training"),
}


@pytest.mark.parametrize("module", [train_reasoner, train_segmenter])
@pytest.mark.parametrize("harm", HARMS)
def test_a_state_that_cannot_be_gone_on_with(states, module, harm, tmp_path, monkeypatch):
    run = shutil.copytree(states[module], tmp_path / "run")
    spoil, said = HARMS[harm]
    spoil(run / "state.pt")
    before = (run / "state.pt").read_bytes()
    line = refused(module, monkeypatch, "--out", run)
    assert re.search(said, line) and str(run / "state.pt") in line
    assert (run / "state.pt").read_bytes() == before


def test_words_that_cannot_be_read(states, tmp_path, monkeypatch):
    run = shutil.copytree(states[train_reasoner], tmp_path / "run")
    cut(run / "model" / "tokenizer.json")
    assert "cannot be read" in refused(train_reasoner, monkeypatch, "--out", run)


def test_weights_to_begin_from_that_are_none(tmp_path, monkeypatch):
    processor = AutoProcessor.from_pretrained(WEIGHTS)
    monkeypatch.setattr(train_reasoner, "train_processor", lambda: processor)  # which takes seconds to make
    out = ("--out", tmp_path / "new")
    assert "gone is no folder" in refused(train_reasoner, monkeypatch, *out, "--init", "./gone")
    (tmp_path / "empty").mkdir()
    for module in (train_reasoner, train_segmenter):
        line = refused(module, monkeypatch, *out, "--init", tmp_path / "empty")
        assert "holds no model" in line or "cannot be read" in line
    weights = shutil.copytree(WEIGHTS, tmp_path / "weights")
    (file,) = weights.glob("*.safetensors")
    tensors = load_file(file)
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, file, metadata={"format": "pt"})
    assert "its weights lack" in refused(train_reasoner, monkeypatch, *out, "--init", weights)
    cut(file)
    assert "cannot be read" in refused(train_reasoner, monkeypatch, *out, "--init", weights)
