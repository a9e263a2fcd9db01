"""The trainer's shortcuts against the trainer they shorten, on tiny random models of the real classes.

python -m pytest tests/test_trainer.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import trl.trainer.grpo_trainer as stock
from grpo_runs import Gradients, decoded, make_rows, make_trainer
from peft import LoraConfig
from tiny import save_tiny_reasoner
from trl import GRPOTrainer

from train.trainer import Trainer, last_checkpoint

LANGUAGE = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_tiny_reasoner(tmp_path_factory.mktemp("reasoner"))


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return make_rows(tmp_path_factory.mktemp("pictures"))


def far(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference, relative to the largest number."""
    return float((a - b).abs().max() / b.abs().max().clamp(min=1e-12))


def drawn_but_not_dealt(batch: dict) -> dict:
    """In place of TRL's shuffle: the same random numbers are drawn, the answers stay where they are."""
    torch.randperm(len(batch["prompt_ids"]))
    return batch


def history(trainer: GRPOTrainer, name: str) -> list[float]:
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def test_two_steps_are_those_of_trl(model, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(stock, "shuffle_sequence_dict", drawn_but_not_dealt)
    theirs, ours = Gradients(), Gradients()
    # Adam would blow up a rounding error wherever a gradient is nearly nothing.
    same = {"optim": "sgd", "learning_rate": 0.03}
    first = make_trainer(GRPOTrainer, model, decoded(rows), tmp_path / "theirs", callbacks=[theirs], **same)
    first.train()
    second = make_trainer(Trainer, model, rows, tmp_path / "ours", callbacks=[ours], **same)
    second.train()
    for name in ("loss", "kl", "entropy", "reward", "grad_norm", "completions/mean_length"):
        assert history(second, name) == pytest.approx(history(first, name), rel=1e-5, abs=1e-6), name
    assert (
        history(first, "kl")[1] > 0.001 and history(first, "reward_std")[0] > 0
    )  # there was something to learn
    assert len(theirs.steps) == len(ours.steps) == 2
    for before, after in zip(theirs.steps, ours.steps, strict=True):
        assert before.keys() == after.keys()
        whole = [torch.cat([step[name].flatten() for name in before]) for step in (after, before)]
        assert far(*whole) < 1e-5


@pytest.mark.parametrize("adapted", [False, True], ids=["all weights", "LoRA"])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(model, rows, tmp_path, adapted: bool):
    """Two epochs of two steps; the second begins in another order than the first."""
    settings = {
        "max_steps": 4,
        "save_strategy": "steps",
        "save_steps": 1,
        "extras": {"recipe.yaml": "a: 1\n"},
    }

    def fresh(name: str) -> Trainer:
        lora = LoraConfig(target_modules=LANGUAGE, r=4) if adapted else None
        return make_trainer(Trainer, model, rows, tmp_path / name, peft_config=lora, **settings)

    whole = fresh("whole")
    start = {name: value.clone() for name, value in whole.model.state_dict().items()}
    whole.train()
    assert last_checkpoint(tmp_path / "whole") == tmp_path / "whole" / "checkpoint-4"
    again = fresh("again")
    again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"))
    end, same = whole.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(end[name], same[name]) for name in end)
    moved = {name for name in end if not torch.equal(end[name], start[name])}
    assert moved and all(("lora" in name and "language_model" in name) or not adapted for name in moved)
    assert (tmp_path / "whole" / "checkpoint-3" / "recipe.yaml").read_text() == "a: 1\n"


def test_a_checkpoint_cut_short_is_passed_over(tmp_path):
    assert last_checkpoint(tmp_path / "nowhere") is None
    for step in (9, 10, 11):
        (tmp_path / f"checkpoint-{step}").mkdir()
    for step in (9, 10):
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    assert last_checkpoint(tmp_path).name == "checkpoint-10"
