"""A training row's picture and question, read once and shared by all the answers to it.

    reader = PromptReader(processor, model, device)
    prompts = reader(rows)  # rows of one group get the very same Prompt

TRL decodes and preprocesses a picture again for every answer and every pass. Here that happens once a prompt,
with the same encoder that the app and the evaluation use.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from segzero.contract import Frame
from segzero.pictures import load_picture
from segzero.reasoner import PromptEncoder

MODEL_TYPES = ("qwen2_5_vl",)
"""Models whose inputs and positions are as this package hands them over."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """A prompt as the model takes it. Rows of a group share one, so `is` tells groups apart.

    ids: (P,) token ids, the picture's among them. positions: (3, P) time, height and width of each token.
    pixels: (patches, 1176) and grid: (1, 3), the picture as the vision tower takes it.
    frame: the picture as the reasoner sees it.
    """

    ids: Tensor
    positions: Tensor
    pixels: Tensor
    grid: Tensor
    frame: Image.Image


class PromptReader:
    """Turns rows as train.data makes them into Prompts on a device, equal rows of a call into the same."""

    def __init__(self, processor: ProcessorMixin, model: PreTrainedModel, device: torch.device) -> None:
        if model.config.model_type not in MODEL_TYPES:
            raise ValueError(f"this trainer knows {', '.join(MODEL_TYPES)}, not {model.config.model_type}")
        self._encoder = PromptEncoder(processor)
        self._rope = model.model.get_rope_index
        self._device = device

    def __call__(self, rows: Sequence[Mapping]) -> list[Prompt]:
        known: dict[tuple, Prompt] = {}
        prompts = []
        for row in rows:
            key = (row["image"], row["frame"], prompt_text(row["prompt"]))
            if key not in known:
                known[key] = self._read(*key)
            prompts.append(known[key])
        return prompts

    def _read(self, image: str, settings: str, text: str) -> Prompt:
        frame = Frame(**json.loads(settings)).show(load_picture(image))
        inputs = self._encoder([frame], [text])
        positions, _ = self._rope(
            inputs["input_ids"],
            mm_token_type_ids=inputs["mm_token_type_ids"],
            image_grid_thw=inputs["image_grid_thw"],
        )
        return Prompt(
            ids=inputs["input_ids"][0].to(self._device),
            positions=positions[:, 0].to(self._device),
            pixels=inputs["pixel_values"].to(self._device),
            grid=inputs["image_grid_thw"].to(self._device),
            frame=frame,
        )


def prompt_text(messages: Sequence[Mapping]) -> str:
    """The text of a conversation of one user message. Raises ValueError for any other."""
    if len(messages) != 1 or messages[0]["role"] != "user" or not isinstance(messages[0]["content"], str):
        raise ValueError(f"a prompt is one user message, its content a string; not {str(messages)[:200]}")
    return messages[0]["content"]


def distinct(prompts: Sequence[Prompt]) -> tuple[list[Prompt], list[int]]:
    """The different prompts in the order they appear, and for each row the index of its own."""
    index: dict[int, int] = {}
    owners = [index.setdefault(id(prompt), len(index)) for prompt in prompts]
    firsts = {owner: prompt for owner, prompt in zip(reversed(owners), reversed(prompts), strict=True)}
    return [firsts[i] for i in range(len(index))], owners
