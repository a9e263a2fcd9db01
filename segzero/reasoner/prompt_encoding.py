"""A picture and a prompt as the reasoner's tokens: what the processor's chat template makes of them.

    messages = chat_messages(MULTI.prompt("What keeps me dry?"))  # as training hands them to a trainer
    inputs = PromptEncoder(processor)([frame], [prompt])  # as model.generate takes them

The prompt is data: `<|im_end|>` or an image token in it is spelt out, never taken as the control token. For a
server, whose tokenizer is out of reach, segzero.contract.spell_out does the same by a space.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from transformers import BatchFeature, ProcessorMixin

from segzero.weights import WeightsError, reading

_MARK = "\N{OBJECT REPLACEMENT CHARACTER}prompt\N{OBJECT REPLACEMENT CHARACTER}"
_FILL = {"attention_mask": 1, "token_type_ids": 0, "mm_token_type_ids": 0}
"""What text tokens have in the arrays that run along input_ids."""


def chat_messages(prompt: str) -> list[dict]:
    """One user turn, the picture before the text; the chat template adds its own system prompt."""
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]


class PromptEncoder:
    """Encodes pictures and prompts with a processor, e.g. Qwen2_5_VLProcessor.

    A prompt is encoded apart from the text around it. In Qwen's template control tokens stand on both its
    sides, where the tokenizer cuts anyway, so an ordinary prompt has the very ids it would have in one piece.
    Raises WeightsError when the processor's chat template cannot be rendered, or leaves the text out.
    """

    def __init__(self, processor: ProcessorMixin) -> None:
        self.processor = processor
        with reading("its chat template"):
            rendered = processor.apply_chat_template(
                chat_messages(_MARK), tokenize=False, add_generation_prompt=True
            )
        if rendered.count(_MARK) != 1:
            raise WeightsError("its chat template does not contain the user's text once")
        self._head, self._foot = rendered.split(_MARK)

    def head(self, frame: Image.Image) -> BatchFeature:
        """Everything before the prompt: input_ids (1, P), the picture's tokens in them, and its arrays."""
        return self.heads([frame])

    def heads(self, frames: Sequence[Image.Image]) -> BatchFeature:
        """`head` of several pictures of one size: input_ids (B, P).

        Qwen's processors do not resize the frames: 840 x 840 pixels are 900 tokens, 280 x 280 are 100.
        """
        images = self.processor.image_processor
        options = {}
        if hasattr(images, "merge_size"):  # Qwen's: `size` bounds the number of pixels
            pixels = frames[0].width * frames[0].height
            options["size"] = {"shortest_edge": pixels, "longest_edge": pixels}
        return self.processor(
            text=[self._head] * len(frames),
            images=list(frames),
            images_kwargs=options,
            text_kwargs={"add_special_tokens": False, "return_tensors": "pt"},
            common_kwargs={"return_tensors": "pt"},
        )

    def tail(self, prompt: str) -> torch.Tensor:
        """The prompt's tokens and everything after them: (T,) int64."""
        tokenizer = self.processor.tokenizer
        ids = tokenizer(prompt, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        ids = ids + tokenizer(self._foot, add_special_tokens=False)["input_ids"]
        return torch.tensor(ids, dtype=torch.long)

    def __call__(self, frames: Sequence[Image.Image], prompts: Sequence[str]) -> BatchFeature:
        """A batch for model.generate: token rows padded on the left, pictures one after the other."""
        rows = [extend(self.head(f), self.tail(p)) for f, p in zip(frames, prompts, strict=True)]
        length = max(row["input_ids"].shape[1] for row in rows)
        pad = self.processor.tokenizer.pad_token_id or 0
        batch = {}
        for name, value in rows[0].items():
            values = [row[name] for row in rows]
            if name == "input_ids" or name in _FILL:
                fill = pad if name == "input_ids" else 0
                values = [torch.nn.functional.pad(v, (length - v.shape[1], 0), value=fill) for v in values]
            batch[name] = torch.cat(values) if isinstance(value, torch.Tensor) else value
        return BatchFeature(batch)


def extend(head: BatchFeature, tail: torch.Tensor) -> BatchFeature:
    """`head` (one row) with text tokens (T,) after it, in every array that runs along the tokens."""
    longer = dict(head)
    longer["input_ids"] = torch.cat([head["input_ids"], tail[None]], dim=1)
    for name, fill in _FILL.items():
        if name in head:
            longer[name] = torch.cat([head[name], torch.full_like(tail, fill)[None]], dim=1)
    return BatchFeature(longer)
