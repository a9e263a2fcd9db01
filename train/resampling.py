"""Online filtering: groups whose answers were all paid the same teach nothing, so others replace them.

    trainer = ResamplingTrainer(..., rounds=2)

As DAPO and EasyR1 do: more prompts are drawn and answered until every group has a spread, `rounds` times at
most; what is then still without one stays. A step costs its backward passes once, and its generations up to
1 + rounds times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from train.trainer import Trainer

NO_SPREAD = 1e-6


class ResamplingTrainer(Trainer):
    """A Trainer that resamples. rounds: how often at most, in one generation.

    Raises ValueError when a group would be spread over several processes.
    """

    def __init__(self, *args: Any, rounds: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rounds = rounds
        rows = self.args.per_device_train_batch_size * self.args.steps_per_generation
        if rows % self.num_generations:
            raise ValueError(
                f"resampling wants whole groups in a process: {rows} answers a generation are no multiple of "
                f"num_generations, {self.num_generations}"
            )

    def _generate_and_score_completions(self, inputs: Sequence[Mapping]) -> dict[str, Any]:
        batch = super()._generate_and_score_completions(inputs)
        if not self.model.training:
            return batch
        flat = self._groups(spread=False)
        first = len(flat)
        for number in range(self._rounds):
            if not self._anywhere(bool(flat)):
                break
            spare = super()._generate_and_score_completions(self._others(len(inputs), number))
            for group in self._groups(spread=True)[: len(flat)]:
                batch = self._with_group(batch, flat.pop(0), spare, group)
        batch["num_items_in_batch"] = self.accelerator.gather(batch["completion_mask"].sum()).sum()
        self._count("groups/resampled", first - len(flat))
        self._count("groups/without_spread", len(flat))
        return batch

    def _groups(self, *, spread: bool) -> list[int]:
        """This process's groups of the last batch whose answers were paid differently, or the others."""
        paid = self._paid.view(self.accelerator.num_processes, -1, self.num_generations)
        own = paid[self.accelerator.process_index]  # (groups, G)
        has = own.amax(1) - own.amin(1) > NO_SPREAD
        return torch.nonzero(has if spread else ~has).flatten().tolist()

    def _others(self, rows: int, number: int) -> list[Mapping]:
        """Rows of other prompts, drawn by the step and nothing else, so that a resumed run draws the same."""
        key = [self.args.seed, self.state.global_step, number, self.accelerator.process_index]
        count = rows // self.num_generations
        drawn = np.random.default_rng(key).choice(
            len(self.train_dataset), count, replace=count > len(self.train_dataset)
        )
        return [row for index in drawn.tolist() for row in [self.train_dataset[index]] * self.num_generations]

    def _anywhere(self, here: bool) -> bool:
        """Whether it is so in any process: all of them generate, or none does."""
        return bool(self.accelerator.gather(torch.tensor([here], device=self.accelerator.device)).any())

    def _with_group(
        self, batch: dict[str, Any], into: int, other: dict[str, Any], group: int
    ) -> dict[str, Any]:
        size = self.num_generations
        return replaced(
            batch,
            slice(into * size, (into + 1) * size),
            other,
            slice(group * size, (group + 1) * size),
            self._tokenizer.pad_token_id,
        )

    def _count(self, name: str, groups: int) -> None:
        everywhere = self.accelerator.gather(torch.tensor([groups], device=self.accelerator.device))
        self._metrics["train"][name].append(float(everywhere.sum()))


def replaced(
    batch: Mapping[str, Any], into: slice, other: Mapping[str, Any], rows: slice, pad_id: int
) -> dict[str, Any]:
    """`batch` with the rows of `other` in place of its own, as many; padded to the longer of the two.

    Both are batches of GRPOTrainer's: prompts padded on the left, all else on the right.
    """
    merged = {}
    for name, value in batch.items():
        if isinstance(value, Tensor) and value.ndim:
            mine, theirs = value, other[name]
            if value.ndim > 1:
                fill = pad_id if name in ("prompt_ids", "completion_ids") else 0
                width = max(mine.shape[1], theirs.shape[1])
                mine, theirs = (
                    _widened(t, width, fill, left=name.startswith("prompt")) for t in (mine, theirs)
                )
            merged[name] = mine.clone()
            merged[name][into] = theirs[rows]
        elif isinstance(value, list):
            merged[name] = [*value[: into.start], *other[name][rows], *value[into.stop :]]
        else:
            merged[name] = value
    return merged


def _widened(values: Tensor, width: int, fill: int, *, left: bool) -> Tensor:
    """(B, L) -> (B, width)."""
    missing = width - values.shape[1]
    return pad(values, (missing, 0) if left else (0, missing), value=fill)
