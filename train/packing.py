"""Log-probabilities of G answers to one prompt, the prompt read once.

    packed = pack(prompts, completion_ids, completion_mask, pad_id)
    outputs = model(**packed.inputs, fused_lm_head=True)
    log_probs = packed.unpack(outputs.log_probs)  # (B, C)

A group becomes one row: the prompt, then its answers as branches that see the prompt and themselves. Padding
is left out altogether. What the model computes for a token is what it computes for it in a row of its own.

    prompt without its last | its last, answer 1 without its last | its last, answer 2 without its last | …

Each branch begins with the prompt's last token, for that one predicts G different first tokens; and no branch
has its own last token, for nothing is predicted from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from train.prompts import Prompt, distinct

IGNORE = -100
_PADDING = -1


@dataclass(frozen=True)
class Packed:
    """Several groups, packed.

    inputs: for the model: input_ids (R, L), attention_mask (R, 1, L, L) bool, position_ids (3, R, L), the
    pictures, and shift_labels (R, L), at each place the token that comes next, IGNORE where none counts.
    row, column: (T,) where in (R, L) each answer's tokens are predicted; answer, at: (T,) where in (B, C).
    shape: (B, C).
    """

    inputs: dict[str, Tensor]
    row: Tensor
    column: Tensor
    answer: Tensor
    at: Tensor
    shape: tuple[int, int]

    def unpack(self, values: Tensor) -> Tensor:
        """values (R, L), one per packed token -> (B, C), 0 where an answer has no token."""
        spread = values.new_zeros(self.shape)
        return spread.index_put((self.answer, self.at), values[self.row, self.column])


def pack(prompts: Sequence[Prompt], completion_ids: Tensor, completion_mask: Tensor, pad_id: int) -> Packed:
    """completion_ids, completion_mask: (B, C), padded on the right; prompts: of each of the B rows."""
    different, owners = distinct(prompts)
    lengths = completion_mask.sum(1).tolist()
    device = completion_ids.device
    lines = [_Line(prompt) for prompt in different]
    places = []  # of every answer token: row, column, answer, at
    for answer, (owner, length) in enumerate(zip(owners, lengths, strict=True)):
        start = lines[owner].add(completion_ids[answer, :length])
        places.append(_places(owner, start, answer, length))
    row, column, answer, at = torch.cat(places, dim=1).to(device)
    branch = _stack([line.branch for line in lines], _PADDING)
    positions = torch.stack([_stack([line.positions(axis) for line in lines], 0) for axis in range(3)])
    inputs = {
        "input_ids": _stack([torch.cat(line.ids) for line in lines], pad_id),
        "attention_mask": _sees(branch)[:, None],
        "position_ids": positions,
        "pixel_values": torch.cat([prompt.pixels for prompt in different]),
        "image_grid_thw": torch.cat([prompt.grid for prompt in different]),
        "shift_labels": _stack([torch.cat(line.labels) for line in lines], IGNORE),
    }
    return Packed(inputs, row, column, answer, at, tuple(completion_ids.shape))


class _Line:
    """One row in the making."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self.ids = [prompt.ids[:-1]]
        self.labels = [torch.full_like(prompt.ids[:-1], IGNORE)]
        self._lengths = [len(prompt.ids) - 1]

    def add(self, answer: Tensor) -> int:
        """Append a branch; returns the column of its first token. answer: (n,), may be empty."""
        start = sum(self._lengths)
        self.ids += [self._prompt.ids[-1:], answer[:-1]] if len(answer) else []
        self.labels.append(answer)
        self._lengths.append(len(answer))
        return start

    @property
    def branch(self) -> Tensor:
        """(L,) 0 for the prompt, 1.. for its answers."""
        lengths = torch.tensor(self._lengths)
        return torch.arange(len(lengths)).repeat_interleave(lengths).to(self._prompt.ids.device)

    def positions(self, axis: int) -> Tensor:
        """(L,) along one axis: text goes on counting from the prompt's last token in every branch."""
        own = self._prompt.positions[axis]
        steps = [torch.arange(length, device=own.device) for length in self._lengths[1:]]
        return torch.cat([own[:-1], *(own[-1] + step for step in steps)])


def _places(row: int, start: int, answer: int, length: int) -> Tensor:
    """(4, n): row and column of a branch's tokens, answer and index of the tokens predicted there."""
    steps = torch.arange(length)
    return torch.stack([torch.full_like(steps, row), start + steps, torch.full_like(steps, answer), steps])


def _stack(rows: Sequence[Tensor], value: int) -> Tensor:
    return pad_sequence(list(rows), batch_first=True, padding_value=value)


def _sees(branch: Tensor) -> Tensor:
    """branch (R, L) -> (R, L, L) bool: backwards only, and only the prompt and one's own branch."""
    length = branch.shape[1]
    backwards = torch.ones(length, length, dtype=torch.bool, device=branch.device).tril()
    own = branch[:, :, None] == branch[:, None, :]
    return backwards & (own | (branch[:, None, :] == 0))
