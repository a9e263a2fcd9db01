"""Whether GRPO makes a model better: the bundled reasoner on a few scenes that it gets half right.

python -m pytest -q tests/train/test_grpo_learns.py
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import datasets
import pytest
from scipy.stats import ttest_ind

from segzero.contract import MINI
from tests.shared.grpo_runs import make_trainer
from train.data import load
from train.rewards import RECIPES
from train.trainer import Trainer

MOST = 4.0  # what an answer can be paid
PROMPTS, STEPS, SOME = 4, 20, 6
"""Each step answers each of PROMPTS 8 times; the first SOME steps are compared with the last."""
SETTINGS = {
    "reward_funcs": list(RECIPES["segzero"]),
    "num_generations": 8,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": PROMPTS,
    "max_completion_length": 96,
    "loss_type": "grpo",
    "learning_rate": 2e-4,
    "beta": 5e-3,
}


def half_right(rows: datasets.Dataset, out: Path) -> datasets.Dataset:
    """The rows whose greedy answer is paid nearest to half of the most, whatever weights are bundled."""
    paid: list[float] = []

    def judge(completions: list, **columns: list) -> list[float]:
        parts = [reward(completions, **columns) for reward in SETTINGS["reward_funcs"]]
        paid.extend(map(sum, zip(*parts, strict=True)))
        return paid[-len(completions) :]

    make_trainer(Trainer, MINI.reasoner, rows, out, judge=judge, eval_dataset=rows, **SETTINGS).evaluate()
    nearest = sorted(range(len(rows)), key=lambda index: abs(paid[index] - MOST / 2))
    return rows.select(nearest[:PROMPTS])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_reward_rises_from_a_start_that_is_half_right(tmp_path):
    """Every step answers the same prompts, so steps differ by luck and by what was learnt, not by prompts.

    Welch's t-test, one-sided, over the steps' mean rewards. The first steps learn already, which makes it
    harder to pass, not easier; and the prompts were chosen by other answers than those that are compared.
    """
    scenes, _ = load("scenes", MINI, rows=32, seed=5, folder=tmp_path)
    rows = half_right(scenes, tmp_path / "before")
    trainer = make_trainer(Trainer, MINI.reasoner, rows, tmp_path / "run", max_steps=STEPS, **SETTINGS)
    trainer.train()
    paid = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    assert len(paid) == STEPS
    first, last = paid[:SOME], paid[-SOME:]
    assert mean(last) - mean(first) > 0.2, paid
    assert ttest_ind(last, first, equal_var=False, alternative="greater").pvalue < 0.01, paid
