"""Reads a picture once: a second question about it starts from the first one's keys and values.

    inputs = PrefixCache(model, encoder)(frame, prompt, room=1024)
    model.generate(**inputs, max_new_tokens=1024)  # the tokens are those of model.generate(**encoder(...))

In the prompt everything before the question is the same for all questions about a picture, so the language
model's keys and values for it are kept. That is most of the wait for a first token: 0.69 s became 0.03 s.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections import OrderedDict
from dataclasses import dataclass

import torch
from PIL import Image
from transformers import Cache, DynamicCache, PreTrainedModel, StaticCache
from transformers.cache_utils import DynamicLayer

from segzero.reasoner.prompt_encoding import PromptEncoder

PICTURES = 4
"""How many pictures are kept; 840 x 840 pixels in the 7B are 53 MB each."""
_STEP = 1024


def can_reuse(model: PreTrainedModel) -> bool:
    """Whether what a model keeps of a picture serves every question about it, in any row of a batch.

    Asked of the model, not of its name; so are Qwen2-VL, 2.5-VL and 3-VL. It needs a rope index under which
    the text behind a picture counts on by one, and a cache that is keys and values of every token, whole:
    no sliding window, and no state as of linear attention (Qwen3.5). Features of the picture that enter
    deeper layers (DeepStack of Qwen3-VL) need nothing: the keys and values were computed with them.
    """
    return _counts_on(model) and all(
        type(layer) is DynamicLayer for layer in DynamicCache(config=model.config.get_text_config()).layers
    )


def _counts_on(model: PreTrainedModel) -> bool:
    """Ask its rope index for the positions in a picture of 2 x 4 tokens with text around it."""
    core = getattr(model, "model", None)
    merge = getattr(getattr(model.config, "vision_config", None), "spatial_merge_size", None)
    if merge is None or not (hasattr(core, "get_rope_index") and hasattr(core, "rope_deltas")):
        return False
    kinds = torch.tensor([[0] + [1] * 8 + [0] * 3])  # 1 where a token is the picture's
    ids = torch.where(kinds == 1, model.config.image_token_id, 0)
    ask = {"mm_token_type_ids": kinds, "image_grid_thw": torch.tensor([[1, 2 * merge, 4 * merge]])}
    try:
        inspect.signature(core.get_rope_index).bind(ids, **ask)
    except TypeError:  # of another kind
        return False
    positions, delta = core.get_rope_index(ids, **ask)
    behind = torch.arange(9, 12) + delta[0]
    return positions.shape[:2] == (3, 1) and bool((positions[:, 0, 9:] == behind).all())


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
