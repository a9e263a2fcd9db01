"""Keys and values of a batch whose rows come and go, for segzero.flow.

    cache = RowCache()
    cache.change(kept=[], added=prefilled, rows=[0, 0, 1], lengths=[57, 57, 60])
    model(input_ids, attention_mask=cache.mask(), past_key_values=cache.cache, …)

Rows stand right-aligned: a row's own columns are its last ones, what lies before them is never attended to.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 64
"""Columns to spare when a cache is laid out anew, so that most steps copy nothing but their own column."""


class RowCache:
    """The cache of B rows. cache: as a model takes it. starts: (B,), each row's first own column."""

    def __init__(self) -> None:
        self.cache: Cache | None = None
        self.starts = torch.zeros(0, dtype=torch.long)

    @property
    def width(self) -> int:
        """Columns so far."""
        return self.cache.get_seq_length() if self.cache is not None else 0

    def mask(self) -> Tensor:
        """(B, width + 1) int64: which columns each row attends to in the next step."""
        return (torch.arange(self.width + 1, device=self.starts.device) >= self.starts[:, None]).long()

    def change(
        self,
        kept: Sequence[int],
        added: DynamicCache | None = None,
        rows: Sequence[int] = (),
        lengths: Sequence[int] = (),
    ) -> None:
        """Keep some rows, and put new ones behind them.

        added: a cache of prompts padded on the left. rows: which of its rows, any number of times.
        lengths: of each row's prompt without the padding.
        """
        lead = int(self.starts[list(kept)].min()) if kept else 0  # columns that only rows now gone have used
        old_width = self.width - lead if kept else 0
        new_width = max(lengths, default=0)
        width = max(old_width, new_width)
        pieces = []  # of each part: its rows' keys and values, layer by layer
        if kept:
            pieces.append(
                [(each.keys[kept, :, lead:], each.values[kept, :, lead:]) for each in self.cache.layers]
            )
        if rows:
            own = -new_width
            pieces.append([(each.keys[rows, :, own:], each.values[rows, :, own:]) for each in added.layers])
        device = pieces[0][0][0].device if pieces else self.starts.device
        old = self.starts[list(kept)].to(device) + (width - old_width - lead)
        new = width - torch.tensor(list(lengths), dtype=torch.long, device=device)
        self.starts = torch.cat([old, new])
        self.cache = (
            Cache(layers=[_RoomyLayer(pairs, width) for pairs in zip(*pieces, strict=True)])
            if pieces
            else None
        )


class _RoomyLayer(DynamicLayer):
    """A layer whose tensors have columns to spare: a step writes one instead of copying all."""

    _layer_type = None  # not to be taken for the usual kind of layer by other models

    def __init__(self, parts: Sequence[tuple[Tensor, Tensor]], width: int) -> None:
        """parts: keys and values, (B_i, heads, at most width, D), to stand one below the other."""
        super().__init__()
        self.lazy_initialization(*parts[0])
        self._stores = [_laid_out([part[side] for part in parts], width) for side in (0, 1)]
        self.keys, self.values = (store[:, :, :width] for store in self._stores)

    def update(self, key_states: Tensor, value_states: Tensor, *args, **kwargs) -> tuple[Tensor, Tensor]:
        """Append (B, heads, N, D) to both; returns all of both."""
        width = self.keys.shape[-2]
        end = width + key_states.shape[-2]
        if end > self._stores[0].shape[-2]:
            self._stores = [_laid_out([each], width, end - width) for each in (self.keys, self.values)]
        for store, states in zip(self._stores, (key_states, value_states), strict=True):
            store[:, :, width:end] = states
        self.keys, self.values = (store[:, :, :end] for store in self._stores)
        return self.keys, self.values


def _laid_out(parts: Sequence[Tensor], width: int, room: int = 0) -> Tensor:
    """(sum of B_i, heads, width + room and more, D): the parts' columns end at `width`; zeros elsewhere."""
    first = parts[0]
    rows = sum(len(part) for part in parts)
    store = first.new_zeros(rows, first.shape[1], width + max(room, ROOM), first.shape[3])
    top = 0
    for part in parts:
        store[top : top + len(part), :, width - part.shape[-2] : width] = part
        top += len(part)
    return store
