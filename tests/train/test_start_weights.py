"""What a training starts from: all the weights of a folder, or nothing is trained and nothing saved.

python -m pytest tests/train/test_start_weights.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from segzero.hub import ModelError
from tests.shared.grpo_runs import make_rows
from tests.shared.tiny import save_tiny_reasoner
from train.grpo import main


def wrapped(folder: Path) -> None:
    """Names such as a sharded or adapted model's own state has."""
    path = folder / "model.safetensors"
    weights = {f"base_model.model.{name}": value for name, value in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})


def halved(folder: Path) -> None:
    path = folder / "model.safetensors"
    save_file(dict(list(load_file(path).items())[::2]), path, metadata={"format": "pt"})


def in_own_words(folder: Path) -> None:
    """A dtype that TRL, which reads the reference of KL by itself, cannot look up."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "bf16"}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (wrapped, "cannot be trained from: its weights lack 57 tensors"),
        (halved, "cannot be trained from: its weights lack 28 tensors"),
        (lambda folder: (folder / "processor_config.json").unlink(), "it has no processor"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "its processor cannot be read"),
        (lambda folder: (folder / "chat_template.jinja").unlink(), "it has no chat template"),
        (in_own_words, "module 'torch' has no attribute 'bf16'"),
        (lambda folder: (folder / "adapter_config.json").write_text("{}"), "holds an adapter"),
    ],
    ids=["wrapped", "half", "no processor", "tokenizer", "no template", "dtype", "adapter"],
)
def test_what_is_not_whole_is_not_trained(tmp_path, change, said):
    start = save_tiny_reasoner(tmp_path / "start")
    change(start)
    square = [[10, 10, 30, 10, 30, 25, 10, 25]]  # a COCO polygon
    (tmp_path / "data").mkdir()
    lines = [
        json.dumps({"image": Path(row["image"]).name, "question": f"thing {row['id']}", "masks": [square]})
        for row in make_rows(tmp_path / "data", 1)
    ]
    (tmp_path / "data" / "data.jsonl").write_text("\n".join(lines))
    arguments = {
        "model_name_or_path": start, "data": tmp_path / "data", "output_dir": tmp_path / "out",
        "per_device_train_batch_size": 4, "gradient_accumulation_steps": 1, "num_generations": 4,
        "max_completion_length": 8, "report_to": "none", "eval_strategy": "no", "eval_on_start": "false",
        "held_out": "", "load_best_model_at_end": "false", "warmup_steps": 0, "max_steps": 1, "beta": 0.1,
    }  # fmt: skip
    with pytest.raises(ModelError, match=said) as error:
        main([part for name, value in arguments.items() for part in (f"--{name}", str(value))])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out" / "model").exists()
