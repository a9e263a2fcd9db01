"""The trainer's shortcuts against the trainer they shorten, on tiny random models of the real classes.

python -m pytest tests/train/test_trainer.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import trl.trainer.grpo_trainer as stock
from peft import LoraConfig
from PIL import Image
from trl import GRPOTrainer

from segzero.contract import Frame
from segzero.pictures import load_picture
from segzero.reasoner import Reasoner
from tests.shared.grpo_runs import Gradients, decoded, luck, make_rows, make_trainer
from tests.shared.tiny import save_tiny_reasoner
from train.checkpoints import resume_point
from train.packing import pack
from train.prompts import Prompt
from train.resampling import ResamplingTrainer, replaced
from train.trainer import Trainer

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
    again = fresh("again")
    assert resume_point(again, tmp_path / "whole") == tmp_path / "whole" / "checkpoint-4"
    again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"))
    end, same = whole.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(end[name], same[name]) for name in end)
    moved = {name for name in end if not torch.equal(end[name], start[name])}
    assert moved and all(("lora" in name and "language_model" in name) or not adapted for name in moved)
    assert (tmp_path / "whole" / "checkpoint-3" / "recipe.yaml").read_text() == "a: 1\n"


def test_held_out_rows_are_answered_as_the_app_answers(model, rows, tmp_path):
    heard: list[str] = []

    def judge(completions: list, id: list[str], **columns: object) -> list[float]:
        heard.extend(completion[0]["content"] for completion in completions)
        return [float(number) for number in id]

    trainer = make_trainer(
        Trainer, model, rows, tmp_path, judge=judge, eval_dataset=rows, per_device_eval_batch_size=3
    )
    assert trainer.evaluate()["eval_gIoU"] == pytest.approx((0 + 1 + 2 + 3) / 4)
    frames = [Frame(frame_px=row["frame_px"]).show(load_picture(row["image"])) for row in rows]
    prompts = [row["prompt"][0]["content"] for row in rows]
    assert heard == Reasoner.load(model, max_new_tokens=12).generate(frames, prompts)


# ------------------------------------------------------------------------------------------------------ parts

PROMPT = Prompt(
    ids=torch.tensor([1, 2, 3]),
    positions=torch.tensor([[0, 1, 4], [0, 2, 4], [0, 3, 4]]),
    pixels=torch.zeros(4, 1176),
    grid=torch.tensor([[1, 2, 2]]),
    frame=Image.new("RGB", (28, 28)),
)


def test_two_answers_packed_behind_their_prompt():
    answers = torch.tensor([[7, 8], [9, 0]])
    packed = pack([PROMPT, PROMPT], answers, torch.tensor([[1, 1], [1, 0]]), pad_id=0)
    assert packed.inputs["input_ids"].tolist() == [[1, 2, 3, 7, 3]]
    assert packed.inputs["shift_labels"].tolist() == [[-100, -100, 7, 8, 9]]
    assert packed.inputs["position_ids"].tolist() == [
        [[0, 1, 4, 5, 4]],
        [[0, 2, 4, 5, 4]],
        [[0, 3, 4, 5, 4]],
    ]
    assert packed.inputs["attention_mask"][0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 1],
    ]
    assert packed.unpack(torch.tensor([[10, 11, 12, 13, 14]])).tolist() == [[12, 13], [14, 0]]


def test_groups_of_different_length_are_rows_padded_on_the_right():
    other = replace(PROMPT, ids=torch.tensor([4]), positions=torch.zeros(3, 1, dtype=torch.long))
    answers = torch.tensor([[7, 8], [9, 0], [5, 6]])
    packed = pack([PROMPT, other, PROMPT], answers, torch.tensor([[1, 1], [0, 0], [1, 1]]), pad_id=0)
    assert packed.inputs["input_ids"].tolist() == [[1, 2, 3, 7, 3, 5], [0] * 6]
    values = torch.arange(12).reshape(2, 6)
    assert packed.unpack(values).tolist() == [[2, 3], [0, 0], [4, 5]]


def test_rows_of_one_batch_in_place_of_another_s():
    batch = {
        "prompt_ids": torch.tensor([[1], [2]]),
        "completion_ids": torch.tensor([[5, 6], [7, 8]]),
        "advantages": torch.tensor([0.0, 1.0]),
        "num_items_in_batch": torch.tensor(4),
        "prompts": ["a", "b"],
    }
    other = {
        "prompt_ids": torch.tensor([[3, 4], [9, 3]]),
        "completion_ids": torch.tensor([[1], [2]]),
        "advantages": torch.tensor([2.0, 3.0]),
        "prompts": ["c", "d"],
    }
    merged = replaced(batch, slice(0, 1), other, slice(1, 2), pad_id=99)
    assert merged["prompt_ids"].tolist() == [[9, 3], [99, 2]]
    assert merged["completion_ids"].tolist() == [[2, 99], [7, 8]]
    assert merged["advantages"].tolist() == [3.0, 1.0] and merged["prompts"] == ["d", "b"]


def test_groups_that_are_all_paid_the_same_are_replaced(model, rows, tmp_path):
    def luck_but_for_one(completions: list, id: list[str], **columns: object) -> list[float]:
        return [paid * (number != "0") for paid, number in zip(luck(completions), id, strict=True)]

    settings = {"rounds": 8, "max_steps": 2, "reward_funcs": [luck_but_for_one]}
    trainer = make_trainer(ResamplingTrainer, model, rows, tmp_path, **settings)
    trainer.train()
    resampled, flat = (history(trainer, f"groups/{name}") for name in ("resampled", "without_spread"))
    assert sum(resampled) >= 1 and flat == [0, 0]  # question 0 comes once in the epoch's two steps
