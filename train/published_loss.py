"""The loss of the published runs, as verl computed it, whatever fits into a micro-batch here.

    shares = token_shares(completion_mask, answers=16)          # once for all that a process generated
    loss = published_loss(log_probs, old, reference, entropies, advantages, mask, shares,
                          clip=(0.2, 0.2), beta=1e-2, entropy_coef=1e-3)

There a micro-batch's loss is one mean over all its answers' tokens, so a long answer weighs more than a short
one beside it, and a step's loss is the mean of its micro-batches'. How many answers those had is part of the
recipe; with one it is the mean over each answer's tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

MAX_KL = 10.0
"""Of a token; beyond it the KL term has no gradient."""
_EPSILON = 1e-6


def published_advantages(paid: Tensor, group: int) -> Tensor:
    """paid: (N,) the whole reward of each answer, group after group -> (N,), of deviation 1."""
    groups = paid.view(-1, group)
    return ((groups - groups.mean(1, keepdim=True)) / (groups.std(1, keepdim=True) + _EPSILON)).flatten()


def token_shares(mask: Tensor, answers: int) -> Tensor:
    """What a token of each answer counts: (N, C) -> (N,), answers / the tokens of every `answers` rows.

    So that the mean over rows of share * sum over tokens is the mean of those rows' token means. `answers`
    divides N.
    """
    tokens = mask.sum(1).view(-1, answers).sum(1, keepdim=True).clamp(min=1)
    return (answers / tokens).expand(-1, answers).flatten()


def published_loss(
    log_probs: Tensor,
    old: Tensor,
    reference: Tensor | None,
    entropies: Tensor,
    advantages: Tensor,
    mask: Tensor,
    shares: Tensor,
    *,
    clip: tuple[float, float],
    beta: float,
    entropy_coef: float,
) -> Tensor:
    """The loss of a micro-batch, a scalar; a step's is the mean of its micro-batches'.

    log_probs, old, reference, entropies, mask: (B, C), per token; reference may be None where beta is 0.
    advantages, shares: (B,). clip: how far below and above 1 the ratio to `old` counts.
    """
    ratio = torch.exp(log_probs - old)
    clipped = ratio.clamp(1 - clip[0], 1 + clip[1])
    gain = advantages[:, None]
    each = torch.max(-gain * ratio, -gain * clipped) - entropy_coef * entropies
    if reference is not None:
        ahead = reference - log_probs
        each = each + beta * (ahead.exp() - ahead - 1).clamp(max=MAX_KL)
    return (shares * (each * mask).sum(1)).mean()
