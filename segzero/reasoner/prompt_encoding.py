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
_THOUGHT = "<think>"
_ROOMY = 4
"""So many times a frame's pixels are never too many: some count two pictures in time, some round up."""


def chat_messages(prompt: str) -> list[dict]:
    """One user turn, the picture before the text; the chat template adds its own system prompt."""
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]


class PromptEncoder:
    """Encodes pictures and prompts with a processor, e.g. Qwen2_5_VLProcessor or Qwen3VLProcessor.

    A prompt is encoded apart from the text around it. In Qwen's templates control tokens stand on both its
    sides, where the tokenizer cuts anyway, so an ordinary prompt has the very ids it would have in one piece.

    prefill: what the template has already written of the answer, from `<think>` on, or "". The model goes on
    behind it and does not repeat it: `<think>` and a line's end leave a thought open, with `</think>` it is
    over.

    Raises WeightsError, in one line, for a processor that is not for both pictures and text, or has no chat
    template (nor its tokenizer), or one that cannot be rendered, or that leaves out the picture or the text,
    or puts the picture after it.
    """

    def __init__(self, processor: ProcessorMixin) -> None:
        if not (hasattr(processor, "image_processor") and hasattr(processor, "tokenizer")):
            raise WeightsError(f"its processor is a {type(processor).__name__}, not one of pictures and text")
        self.processor = processor
        rendered = self._render(chat_messages(_MARK))
        if rendered.count(_MARK) != 1:
            raise WeightsError("its chat template does not contain the user's text once")
        self._head, self._foot = rendered.split(_MARK)
        [message] = chat_messages(_MARK)
        unseeing = self._render([message | {"content": message["content"][1:]}]).partition(_MARK)[0]
        if self._head == unseeing or "'type':" in self._head:  # the latter where it prints the list of parts
            raise WeightsError("its chat template does not put the picture before the user's text")
        asked = self._render(chat_messages(_MARK), add_generation_prompt=False).partition(_MARK)[2]
        begun = self._foot.removeprefix(asked)  # the user's own turn may speak of tags
        self.prefill = begun[begun.index(_THOUGHT) :] if _THOUGHT in begun else ""

    def _render(self, messages: list[dict], add_generation_prompt: bool = True) -> str:
        """The template's text. Where the processor has no template of its own, its tokenizer's stands in."""
        own, tokenizer = self.processor.chat_template, self.processor.tokenizer
        if not (own or tokenizer.chat_template):
            raise WeightsError(
                "it has no chat template: add the chat_template.jinja that it was trained with"
            )
        with reading("its chat template"):
            return self.processor.apply_chat_template(
                messages,
                chat_template=None if own else tokenizer.get_chat_template(),
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
            )

    def head(self, frame: Image.Image) -> BatchFeature:
        """Everything before the prompt: input_ids (1, P), the picture's tokens in them, and its arrays."""
        return self.heads([frame])

    def heads(self, frames: Sequence[Image.Image]) -> BatchFeature:
        """`head` of several pictures of one size: input_ids (B, P).

        Processors of Qwen's kind do not resize frames whose sides are multiples of their patch times merge
        (28 px for Qwen2.5-VL, 32 for Qwen3-VL): 840 x 560 pixels are 30 x 20 tokens of Qwen2.5-VL. Others are
        rounded to the nearest.
        """
        options = {}
        if hasattr(self.processor.image_processor, "merge_size"):  # its `size` bounds the number of pixels
            pixels = frames[0].width * frames[0].height
            options["size"] = {"shortest_edge": 1, "longest_edge": _ROOMY * pixels}
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
        """A batch for model.generate: token rows padded on the left, pictures one after the other.

        A padding repeats the row's first token: it adds none to those that a repetition penalty punishes, so
        that an answer does not depend on what is beside it.
        """
        rows = [extend(self.head(f), self.tail(p)) for f, p in zip(frames, prompts, strict=True)]
        length = max(row["input_ids"].shape[1] for row in rows)
        batch = {}
        for name, value in rows[0].items():
            values = [row[name] for row in rows]
            if name == "input_ids":
                values = [torch.cat([v[:, :1].expand(-1, length - v.shape[1]), v], 1) for v in values]
            elif name in _FILL:
                values = [torch.nn.functional.pad(v, (length - v.shape[1], 0)) for v in values]
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
