"""Many questions through one model: a batch whose rows are filled anew as answers end, for evaluation.

    ContinuousBatching(model, encoder, rows=16, max_new_tokens=1024).run(requests, emit)

Answers differ in length, and in an ordinary batch all wait for the longest; one that rambles to the token
limit holds up everybody. Here a row that is done makes room for the next question
(segzero/reasoner/kv_cache.py).

A picture is read once for all questions about it that follow each other: in the prompt it stands before the
question, so the model's keys and values for it are the same. For which models, says
segzero.reasoner.prefix_cache.can_reuse. Pictures may be of any sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch
from PIL import Image
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from segzero.reasoner.decoding import Draw, RowText
from segzero.reasoner.kv_cache import KVCache
from segzero.reasoner.prompt_encoding import PromptEncoder
from segzero.reasoner.request import Request

READ_AT_ONCE = 8
"""Pictures that go through the vision tower together: more need memory and gain no speed."""


@dataclass(frozen=True, eq=False)
class _Head:
    """A picture that was read, with what stands before every question.

    frame: the picture, held so that no other gets its id. ids: (P,). layers: of each the keys and values,
    (heads, P, D). delta: from a later token's index to its rotary position, () int64.
    """

    frame: Image.Image
    ids: Tensor
    layers: list[tuple[Tensor, Tensor]]
    delta: Tensor


@dataclass(eq=False)
class _Row:
    """An answer being written."""

    request: Request
    text: RowText
    draw: Draw | None
    pieces: list[str] = field(default_factory=list)
    tokens: int = 0
    done: bool = False


class ContinuousBatching:
    """One run of questions through a model that segzero.reasoner.prefix_cache.can_reuse accepts, on one
    thread.

    rows: how many answers are written at a time. The repetition penalty that the weights came with is
    applied, no other of their sampling settings.
    """

    def __init__(
        self, model: PreTrainedModel, encoder: PromptEncoder, *, rows: int, max_new_tokens: int
    ) -> None:
        self._model, self._encoder = model, encoder
        self._most, self._max_new_tokens = rows, max_new_tokens
        self._penalty = model.generation_config.repetition_penalty or 1.0
        ends = model.generation_config.eos_token_id
        self._ends = {ends} if isinstance(ends, int) else set(ends or ())
        self._rows: list[_Row] = []
        self._cache = KVCache()
        self._heads: dict[int, _Head] = {}  # by the id of the frame
        self._state: list[Tensor] = []  # of each row: next logits (B, V), tokens seen (B, V), position (B,)

    @torch.no_grad()
    def run(
        self,
        requests: Iterator[Request],
        emit: Callable[[tuple[Hashable, str]], None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Answer all, emitting (key, text) as each ends; returns early once stopped()."""
        more = True
        while not stopped():
            free = self._most - sum(not row.done for row in self._rows)
            if free >= max(1, self._most // 4):  # several at a time: each time the cache is laid out anew
                new = list(islice(requests, free)) if more else []
                more = len(new) == free
                self._change(new)
            if not self._rows:
                return
            tokens = self._choose()
            for row, token in zip(self._rows, tokens.tolist(), strict=True):
                if not row.done:
                    self._take(row, token)
                    if row.done:
                        emit((row.request.key, "".join(row.pieces)))
            if not all(row.done for row in self._rows):
                self._step(tokens)

    def _take(self, row: _Row, token: int) -> None:
        row.pieces.append(row.text.take(token))
        row.tokens += 1
        row.done = row.text.done or token in self._ends or row.tokens >= self._max_new_tokens

    def _choose(self) -> Tensor:
        """The next token of each row, (B,)."""
        scores, seen, _ = self._state
        if self._penalty != 1.0:
            punished = torch.where(scores < 0, scores * self._penalty, scores / self._penalty)
            scores = torch.where(seen, punished, scores)
        tokens = scores.argmax(-1)
        for index, row in enumerate(self._rows):
            if row.draw is not None:
                tokens[index] = row.draw(scores[index])
        seen.scatter_(1, tokens[:, None], True)
        return tokens

    def _step(self, tokens: Tensor) -> None:
        """Feed one token a row."""
        position = self._state[2]
        out = self._model(
            input_ids=tokens[:, None],
            attention_mask=self._cache.mask(),
            position_ids=position[None, :, None].expand(3, -1, -1),  # (3, B, 1): time, height, width
            cache=self._cache.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._state[0], self._state[2] = out.logits[:, -1], position + 1

    def _change(self, requests: Sequence[Request]) -> None:
        """Take out the rows that are done, and add questions."""
        kept = [index for index, row in enumerate(self._rows) if not row.done]
        if not requests and len(kept) == len(self._rows):
            return
        state = [each[kept] for each in self._state]
        if requests:
            added, rows, own, new = self._read(requests)
            self._cache.change(kept, added, rows, own)
            state = [torch.cat(pair) for pair in zip(state, new, strict=True)] if state else new
        else:
            self._cache.change(kept)
        self._state = state
        self._rows = [self._rows[index] for index in kept] + [self._row(request) for request in requests]

    def _read(self, requests: Sequence[Request]) -> tuple[DynamicCache, list[int], Tensor, list[Tensor]]:
        """Read prompts, equal ones once, behind their pictures.

        -> their cache, which of its rows each ask has, which of its columns are tokens, (U, P + T) bool, and
        the state for `_state`. Shorter heads and tails are padded on the left, P and T are the longest.
        """
        self._look([request.frame for request in requests])
        names = [(id(request.frame), request.prompt) for request in requests]
        different = list(dict.fromkeys(names))
        heads = [self._heads[frame] for frame, _ in different]
        tails = [self._encoder.tail(prompt) for _, prompt in different]
        cache = _joined([head.layers for head in heads])
        before, own_before = _left_padded([head.ids for head in heads])  # (U, P) both
        ids, own = _left_padded(tails)  # (U, T) both
        ids, own = ids.to(before.device), torch.cat([own_before, own.to(before.device)], dim=1)
        index = own.cumsum(1) - 1  # of each token in its own prompt, (U, P + T)
        positions = (index + torch.stack([head.delta for head in heads])[:, None])[:, before.shape[1] :]
        out = self._model(
            input_ids=ids,
            attention_mask=own.long(),
            position_ids=positions[None].expand(3, -1, -1),  # (3, U, T): time, height, width
            cache=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits = out.logits[:, -1]  # (U, V)
        seen = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, torch.cat([before, ids], 1), True)
        rows = [different.index(name) for name in names]
        self._heads = {names[-1][0]: heads[rows[-1]]}  # the next questions may be about it
        return cache, rows, own, [each[rows] for each in (logits, seen, positions[:, -1] + 1)]

    def _look(self, frames: Sequence[Image.Image]) -> None:
        """Read the pictures that are not known yet into `_heads`, those of a size together."""
        new = {id(frame): frame for frame in frames if id(frame) not in self._heads}.values()
        for size in dict.fromkeys(frame.size for frame in new):
            same = [frame for frame in new if frame.size == size]
            for start in range(0, len(same), READ_AT_ONCE):
                self._look_at(same[start : start + READ_AT_ONCE])

    def _look_at(self, frames: Sequence[Image.Image]) -> None:
        """Read pictures of one size."""
        inputs = self._encoder.heads(frames).to(self._model.device)
        cache = DynamicCache(config=self._model.config.get_text_config())
        self._model.model(**inputs, cache=cache, use_cache=True)
        deltas = self._model.model.rope_deltas[:, 0]
        for row, frame in enumerate(frames):
            layers = [(layer.keys[row], layer.values[row]) for layer in cache.layers]
            self._heads[id(frame)] = _Head(frame, inputs["input_ids"][row], layers, deltas[row])

    def _row(self, request: Request) -> _Row:
        draw = Draw(request, self._model.device) if request.temperature > 0 else None
        return _Row(request, RowText(self._encoder.processor.tokenizer.backend_tokenizer), draw)


def _joined(heads: Sequence[list[tuple[Tensor, Tensor]]]) -> DynamicCache:
    """A cache whose rows are the pictures'; zeros before the shorter ones."""
    cache = DynamicCache()
    width = max(layers[0][0].shape[-2] for layers in heads)
    for number, layers in enumerate(zip(*heads, strict=True)):
        keys, values = (
            torch.stack([torch.nn.functional.pad(each, (0, 0, width - each.shape[-2], 0)) for each in side])
            for side in zip(*layers, strict=True)
        )
        cache.update(keys, values, number)
    return cache


def _left_padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """(U, T) int64, each row at the right, and (U, T) bool, where it is. A padding repeats the row's first
    token, so that it adds none to those the repetition penalty has seen."""
    width = max(map(len, rows))
    ids = torch.stack([torch.cat([row[:1].expand(width - len(row)), row]) for row in rows])
    lengths = torch.tensor([len(row) for row in rows], device=ids.device)
    return ids, torch.arange(width, device=ids.device) >= width - lengths[:, None]
