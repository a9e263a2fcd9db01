"""Keys and values of a batch whose rows come and go, for segzero.reasoner.continuous_batching.

    cache = KVCache()
    cache.change(kept=[], added=prefilled, rows=[0, 0, 1], own=own)
    model(input_ids, attention_mask=cache.mask(), cache=cache.cache, …)

Rows stand right-aligned, so that every step appends one column for all of them. Which columns hold tokens of
a row, and not padding, is kept beside them; no others are attended to.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 64
"""Columns to spare when a cache is laid out anew, so that most steps copy nothing but their own column."""


class KVCache:
    """The cache of B rows. cache: as a model takes it."""

    def __init__(self) -> None:
        self.cache: Cache | None = None
        self._own = torch.zeros(0, 0, dtype=torch.bool)  # (B, columns when it was laid out)

    @property
    def width(self) -> int:
        """Columns so far."""
        return self.cache.get_seq_length() if self.cache is not None else 0

    def mask(self) -> Tensor:
        """(B, width + 1) int64: which columns each row attends to in the next step."""
        return _padded(self._own, right=self.width + 1 - self._own.shape[1]).long()

    def change(
        self,
        kept: Sequence[int],
        added: DynamicCache | None = None,
        rows: Sequence[int] = (),
        own: Tensor | None = None,
    ) -> None:
        """Keep some rows, and put new ones behind them.

        added: a cache of prompts. rows: which of its rows, any number of times. own: (R, T) bool, which of
        its columns are tokens of each of its rows.
        """
        owns, pieces = [], []  # the columns of the old rows and of the new; keys and values, layer by layer
        if kept:
            old = self.mask()[kept, :-1].bool()
            lead = int(old.any(0).int().argmax())  # columns that only rows now gone have used
            owns.append(old[:, lead:])
            pieces.append(
                [(each.keys[kept, :, lead:], each.values[kept, :, lead:]) for each in self.cache.layers]
            )
        if rows:
            owns.append(own[rows])
            pieces.append([(each.keys[rows], each.values[rows]) for each in added.layers])
        width = max((each.shape[1] for each in owns), default=0)
        if not pieces:
            self.cache, self._own = None, self._own[:0, :0]
            return
        self._own = torch.cat([_padded(each, left=width - each.shape[1]) for each in owns])
        self.cache = Cache(layers=[_RoomyLayer(pairs, width) for pairs in zip(*pieces, strict=True)])


def _padded(own: Tensor, left: int = 0, right: int = 0) -> Tensor:
    """(B, T) bool with columns of padding before and of tokens behind."""
    return torch.nn.functional.pad(torch.nn.functional.pad(own, (left, 0)), (0, right), value=True)


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
