"""Runs of GRPO small enough for tests: a tiny model, a few pictures, a reward that is pure luck.

rows = make_rows(tmp_path); trainer = make_trainer(Trainer, save_tiny_reasoner(tmp_path / "model"), rows, out)
"""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import numpy as np
import torch
from PIL import Image
from transformers import AutoProcessor, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from segzero.contract import MULTI, Frame
from segzero.pictures import load_picture

FRAME_PX = 56
QUESTIONS = ("the red umbrella", "What could keep me dry in the rain?", "left", "the second from the left")


def make_rows(folder: Path, count: int = 4) -> datasets.Dataset:
    """Rows with the columns of train.data: non-square noise, questions of different lengths."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(count):
        path = folder / f"{index}.png"
        Image.fromarray(rng.integers(0, 256, (30 + index, 70, 3), np.uint8)).save(path)
        rows.append(
            {
                "id": str(index),
                "prompt": [{"role": "user", "content": MULTI.prompt(QUESTIONS[index % len(QUESTIONS)])}],
                "image": str(path),
                "solution": '[{"bbox_2d": [10,10,40,40], "point_2d": [20,20]}]',
                "frame_px": FRAME_PX,
                "frame": json.dumps({"frame_px": FRAME_PX}),
            }
        )
    return datasets.Dataset.from_list(rows)


def decoded(rows: datasets.Dataset) -> datasets.Dataset:
    """The rows as a stock GRPOTrainer needs them: every look at one decodes its picture."""

    def decode(batch: dict) -> dict:
        pairs = zip(batch["image"], batch["frame_px"], strict=True)
        return {
            **batch,
            "image": [Frame(frame_px=frame_px).show(load_picture(path)) for path, frame_px in pairs],
        }

    return rows.with_transform(decode)


def luck(completions: list, **columns: object) -> list[float]:
    """0, 0.25, … 1, depending on every letter."""
    return [sum(map(ord, completion[0]["content"])) % 5 / 4 for completion in completions]


class Gradients(TrainerCallback):
    """Copies the gradient of every step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, torch.Tensor]] = []

    def on_pre_optimizer_step(self, args, state, control, model, **kwargs) -> None:
        named = model.named_parameters()
        self.steps.append({name: p.grad.clone() for name, p in named if p.grad is not None})


OPTIONS = (
    "callbacks",
    "peft_config",
    "extras",
    "judge",
    "eval_dataset",
    "rounds",
    "reward_funcs",
    "loss_answers",
)
"""Of make_trainer's changes, those that are the trainer's; the others are GRPOConfig's."""


def make_trainer(
    kind: type[GRPOTrainer], model: Path, rows: datasets.Dataset, out: Path, **changes
) -> GRPOTrainer:
    """A trainer of a class for two steps of two groups of four answers, one group a micro-batch."""
    kwargs = {name: changes.pop(name) for name in OPTIONS if name in changes}
    settings = {
        "output_dir": str(out),
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 1,
        "max_steps": 2,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "num_generations": 4,
        "max_completion_length": 12,
        "activation_checkpointing": False,
        "remove_unused_columns": False,
        "log_multimodal": False,
        "disable_tqdm": True,
        "beta": 0.1,
        "use_bias_correction_kl": False,
        "loss_type": "bnpo",
        "entropy_coef": 1e-3,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
    }
    config = GRPOConfig(**{**settings, **changes})
    processor = AutoProcessor.from_pretrained(model, padding_side="left")
    return kind(
        model=str(model),
        reward_funcs=kwargs.pop("reward_funcs", [luck]),
        args=config,
        train_dataset=rows,
        processing_class=processor,
        **kwargs,
    )
