"""The published loss against sums done by hand, and against TRL's where the two say the same.

python -m pytest tests/train/test_published_loss.py
"""

from __future__ import annotations

from math import exp, log
from pathlib import Path

import pytest
import torch

from tests.shared.grpo_runs import Gradients, luck, make_rows, make_trainer
from tests.shared.tiny import save_tiny_reasoner
from train.published_loss import published_advantages, published_loss, token_shares
from train.resampling import ResamplingTrainer
from train.trainer import Trainer

# Four answers of 1, 3, 2 and 2 tokens; a token's log-probability has moved by log(ratio) since it was drawn.
MASK = torch.tensor([[1, 0, 0], [1, 1, 1], [1, 1, 0], [1, 1, 0]])
RATIO = torch.tensor([[1.0, 9, 9], [1.5, 0.5, 1.1], [1.5, 0.5, 9], [1.0, 1.0, 9]])
GAIN = torch.tensor([2.0, 1.0, -1.0, 0.5])
ENTROPY = torch.tensor([[1.0, 9, 9], [2, 3, 4], [1, 1, 9], [0, 2, 9]])
# What tokens cost without KL and entropy, the ratio clipped to 0.8 .. 1.2 where that is the worse, they are
# -2.0; -1.2, -0.5, -1.1; 1.5, 0.8; -0.5, -0.5.


def loss(shares: torch.Tensor, **changes) -> float:
    old = torch.full_like(RATIO, -1.0)
    given = {"reference": None, "clip": (0.2, 0.2), "beta": 0.0, "entropy_coef": 0.0, **changes}
    reference = given.pop("reference")
    return float(published_loss(old + RATIO.log(), old, reference, ENTROPY, GAIN, MASK, shares, **given))


@pytest.mark.parametrize(
    ("answers", "by_hand"),
    [
        # the mean over each answer's tokens, then over the answers
        (1, (-2.0 + -2.8 / 3 + 2.3 / 2 + -1.0 / 2) / 4),
        # micro-batches of two: 4 tokens each
        (2, ((-2.0 - 2.8) / 4 + (2.3 - 1.0) / 4) / 2),
        # one micro-batch: 8 tokens
        (4, (-2.0 - 2.8 + 2.3 - 1.0) / 8),
    ],
)
def test_the_mean_over_a_micro_batch_by_hand(answers: int, by_hand: float):
    assert loss(token_shares(MASK, answers)) == pytest.approx(by_hand, abs=1e-6)


def test_entropy_and_kl_are_means_over_the_same_tokens():
    shares = token_shares(MASK, 4)
    entropy = (1 + 2 + 3 + 4 + 1 + 1 + 0 + 2) / 8
    assert loss(shares, entropy_coef=0.1) == pytest.approx(loss(shares) - 0.1 * entropy, abs=1e-6)
    now = torch.full_like(RATIO, -1.0) + RATIO.log()
    ahead = torch.zeros_like(RATIO)
    ahead[1, 0], ahead[2, 1] = log(2), 5.0  # the second would be e^5 - 6 = 142.4; it counts 10
    assert exp(5) - 6 > 10
    by_hand = ((2 - log(2) - 1) + 10) / 8
    told = loss(shares, reference=now + ahead, beta=0.5)
    assert told == pytest.approx(loss(shares) + 0.5 * by_hand, abs=1e-6)


def test_beyond_its_bound_the_kl_has_no_gradient():
    moved = torch.tensor([[0.0, 0.0]], requires_grad=True)
    ones = torch.ones(1, 2)
    kl = published_loss(
        moved, moved.detach(), torch.tensor([[5.0, 1.0]]), ones, torch.zeros(1), ones, torch.ones(1),
        clip=(0.2, 0.2), beta=1.0, entropy_coef=0.0,
    )  # fmt: skip
    kl.backward()
    assert moved.grad.tolist() == [[0.0, pytest.approx(1 - exp(1))]]


def test_an_answer_without_tokens_costs_nothing():
    mask = torch.tensor([[0, 0], [1, 1]])
    assert token_shares(mask, 1).tolist() == [1.0, 0.5] and token_shares(mask, 2).tolist() == [1.0, 1.0]


def test_advantages_by_hand():
    # mean 2, deviation of a sample: sqrt((4 + 0 + 4) / 2) = 2; and a group that was all paid the same
    told = published_advantages(torch.tensor([0.0, 2.0, 4.0, 3.0, 3.0, 3.0]), 3)
    assert told.tolist() == pytest.approx([-1.0, 0.0, 1.0, 0.0, 0.0, 0.0], abs=1e-5)


# ----------------------------------------------------------------------------------- against TRL's own losses


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    return save_tiny_reasoner(folder / "model"), make_rows(folder)


def uneven(completions: list, **columns: object) -> list[float]:
    return [100 * paid for paid in luck(completions)]  # so that 1e-4 or 1e-6 beside a deviation is the same


def gradients(start, out: Path, kind=Trainer, **settings) -> list[torch.Tensor]:
    seen = Gradients()
    # A small rate: the clipped KL and TRL's are the same as long as the model stays near its start.
    given = {"callbacks": [seen], "reward_funcs": [uneven], "optim": "sgd", "learning_rate": 1e-4}
    make_trainer(kind, *start, out, **{**given, **settings}).train()
    return [torch.cat([value.flatten() for value in step.values()]) for step in seen.steps]


def near(some: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    pairs = zip(some, others, strict=True)
    return all(float((a - b).abs().max() / b.abs().max()) < 1e-4 for a, b in pairs)


def test_one_answer_is_trl_s_grpo_and_a_micro_batch_its_bnpo(start, tmp_path):
    """Whatever the micro-batches are: here they are groups of 4, and a step has two of them."""
    plain = {"entropy_coef": 0.0}
    one = gradients(start, tmp_path, loss_answers=1, **plain)
    assert near(one, gradients(start, tmp_path, loss_type="grpo", **plain))
    four = gradients(start, tmp_path, loss_answers=4)
    assert near(four, gradients(start, tmp_path, loss_type="bnpo"))
    eight = gradients(start, tmp_path, loss_answers=8)
    large = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 1}
    assert near(eight, gradients(start, tmp_path, loss_type="bnpo", **large))
    assert near(eight, gradients(start, tmp_path, loss_answers=8, **large))
    assert not near(one, four) and not near(four, eight)


def test_two_answers_of_a_group_of_four(start, tmp_path):
    small = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    two = gradients(start, tmp_path, loss_answers=2)
    assert near(two, gradients(start, tmp_path, loss_type="bnpo", **small))


def test_resampled_groups_count_by_their_own_tokens(start, tmp_path):
    resampling = gradients(start, tmp_path, ResamplingTrainer, rounds=1, loss_answers=4)
    assert near(resampling, gradients(start, tmp_path, ResamplingTrainer, rounds=1, loss_type="bnpo"))
