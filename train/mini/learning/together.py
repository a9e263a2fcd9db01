"""Several processes training one model, each on batches of its own: gradients are averaged at every step.

    torchrun --nproc-per-node 2 -m train.mini.train_reasoner

Alone, nothing here does anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Team:
    """This process's place: rank 0 .. size - 1."""

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls) -> Team:
        """The team that torchrun started this process in, or a team of one.

        Its members may share one device, which NCCL forbids: so it is gloo everywhere.
        """
        if "WORLD_SIZE" not in os.environ:
            return cls()
        distributed.init_process_group("gloo")
        return cls(distributed.get_rank(), distributed.get_world_size())

    def mean(self, values: Iterable[Tensor], seconds: float) -> float:
        """Average `values` (of any shapes, the same ones in each process) over the team, in place.

        -> the mean of `seconds`, the same number in each, so that all change stage at the same step.
        """
        if self.size == 1:
            return seconds
        values = list(values)
        flat = torch.cat([value.flatten() for value in values] + [values[0].new_tensor([seconds])])
        distributed.all_reduce(flat)
        flat /= self.size
        start = 0
        for value in values:
            value.copy_(flat[start : start + value.numel()].view_as(value))
            start += value.numel()
        return float(flat[-1])

    def leave(self) -> None:
        if self.size > 1:
            distributed.destroy_process_group()
