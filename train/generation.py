"""Sampling G answers to each prompt, every prompt and its picture read once.

    answers = generate(model, prompts, config)  # a list of token ids for each row

`model.generate` over G equal rows sees the picture and fills the cache G times. Here different prompts are
read once, their keys and values copied to all rows that ask for them, and generation goes on from there: the
tokens drawn are the same, with the same random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, GenerationConfig, PreTrainedModel

from train.prompts import Prompt, distinct


@torch.no_grad()
def generate(model: PreTrainedModel, prompts: Sequence[Prompt], config: GenerationConfig) -> list[list[int]]:
    """One answer a row, without its prompt, up to and with the token that ends it.

    config: its pad_token_id and eos_token_id are set, the latter a list.
    """
    different, owners = distinct(prompts)
    ids = _left_pad([prompt.ids for prompt in different], config.pad_token_id)  # (U, P)
    mask = _left_pad([torch.ones_like(prompt.ids) for prompt in different], 0)  # (U, P)
    index = (mask.cumsum(-1) - 1).clamp(min=0)
    rotary = torch.stack(
        [_left_pad([prompt.positions[axis] for prompt in different], 0) for axis in range(3)]
    )
    positions = torch.cat([index[None], rotary])  # (4, U, P) as the model's own generation lays them out

    cache = DynamicCache(config=model.config.get_text_config())
    # All but the last token: generation wants one to start from.
    model(
        input_ids=ids[:, :-1],
        attention_mask=mask[:, :-1],
        position_ids=positions[..., :-1],
        pixel_values=torch.cat([prompt.pixels for prompt in different]),
        image_grid_thw=torch.cat([prompt.grid for prompt in different]),
        cache=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    rows = torch.tensor(owners, device=ids.device)
    cache.batch_select_indices(rows)
    written = model.generate(
        input_ids=ids[rows],
        attention_mask=mask[rows],
        position_ids=positions[:, rows],
        cache=cache,
        generation_config=config,
    )
    return [_until_end(row, config.eos_token_id) for row in written[:, ids.shape[1] :].tolist()]


def _left_pad(rows: Sequence[Tensor], value: int) -> Tensor:
    """Rows of (P_i,) as one (N, P)."""
    return pad_sequence(list(rows), batch_first=True, padding_value=value, padding_side="left")


def _until_end(ids: list[int], ends: Sequence[int]) -> list[int]:
    last = next((index for index, token in enumerate(ids) if token in ends), len(ids) - 1)
    return ids[: last + 1]
