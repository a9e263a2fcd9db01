"""Tiny random models of the real classes, for tests: nothing is downloaded, and one answers in milliseconds.

folder = save_tiny_reasoner(tmp_path)                 # then Reasoner.load(folder)
script(reasoner, "<think>a</think><answer>[]</answer>")  # what it answers from now on
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from segzero.contract import MULTI, SINGLE

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Renders what Qwen2.5-VL's own template renders for these messages."""


def tiny_tokenizer() -> Qwen2Tokenizer:
    """Qwen's tokenizer class (NFC, byte-level BPE) with a few hundred merges and its special tokens."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    corpus = [
        MULTI.prompt("what could keep me dry in the rain?"),
        SINGLE.prompt("the red umbrella on the left"),
    ]
    backend.train_from_iterator(corpus * 3, trainer)
    state = json.loads(backend.to_str())["model"]
    return Qwen2Tokenizer(
        vocab=state["vocab"],
        merges=[tuple(pair) for pair in state["merges"]],
        eos_token="<|im_end|>",
        additional_special_tokens=list(SPECIAL_TOKENS),
    )


def tiny_processor() -> Qwen2_5_VLProcessor:
    """The real processor; its picture limits are those of the public Qwen2.5-VL weights."""
    size = {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 16384}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=size),
        tokenizer=tiny_tokenizer(),
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=CHAT_TEMPLATE,
    )


def tiny_model(tokenizer: Qwen2Tokenizer, seed: int = 0) -> Qwen2_5_VLForConditionalGeneration:
    """Random weights, so large that what it says depends on the picture and on the whole prompt."""
    token = tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "rope_parameters": {"rope_type": "default", "rope_theta": 100.0, "mrope_section": [2, 3, 3]},
            "initializer_range": 0.4,
            "bos_token_id": None,
            "eos_token_id": token("<|im_end|>"),
            "pad_token_id": token("<|endoftext|>"),
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
            "window_size": 112,
            "initializer_range": 0.4,
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=False,
    )
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(config).eval()
    # Sampling settings such as the public weights ship: a reasoner has to override them and be greedy.
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=1.5,
        top_k=5,
        repetition_penalty=1.05,
        eos_token_id=[token("<|im_end|>"), token("<|endoftext|>")],
        pad_token_id=token("<|endoftext|>"),
    )
    return model


def save_tiny_reasoner(folder: Path, seed: int = 0) -> Path:
    """A folder that AutoProcessor and AutoModelForImageTextToText load. Returns it."""
    processor = tiny_processor()
    processor.save_pretrained(folder)
    tiny_model(processor.tokenizer, seed).save_pretrained(folder)
    return folder


class Script(torch.nn.Module):
    """In place of a model's head: makes it say given tokens, one a step. count: steps so far.

    Prefilling a prompt is a step, as it yields the first token. before(count): called before each step.
    """

    def __init__(self, ids: list[int], vocab_size: int, end: int, before: Callable[[int], object]) -> None:
        super().__init__()
        self.ids, self.vocab_size, self.end, self.before, self.count = ids, vocab_size, end, before, 0
        self._at = 0

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden: (B, L, D) -> logits (B, L, vocab_size)."""
        self.before(self.count)
        logits = torch.zeros(*hidden.shape[:-1], self.vocab_size)
        logits[..., self.ids[self._at] if self._at < len(self.ids) else self.end] = 1e4
        self.count, self._at = self.count + 1, self._at + 1
        return logits

    def restart(self) -> None:
        self._at = 0


def script(reasoner, text: str | list[int], before: Callable[[int], object] = lambda count: None) -> Script:
    """Make a tiny reasoner answer every question with a text, or with token ids. Returns the Script."""
    tokenizer, model = reasoner.encoder.processor.tokenizer, reasoner.model
    ids = tokenizer.encode(text) if isinstance(text, str) else text
    said = Script(ids, len(tokenizer) + 8, tokenizer.convert_tokens_to_ids("<|im_end|>"), before)
    generate = type(model).generate

    def from_the_start(*args, **kwargs):
        said.restart()
        return generate(model, *args, **kwargs)

    model.lm_head, model.generate = said, from_the_start
    return said


def mini_segmenter():
    """A random `MiniBackend` of crops of 32 px."""
    from segzero.segmenter import MiniBackend, MiniSam, MiniSamConfig

    torch.manual_seed(0)
    config = MiniSamConfig(
        crop_px=32, widths=(8, 8, 16, 16), blocks=1, heads=2, decoder_dim=16, decoder_depth=1, decoder_heads=2
    )
    return MiniBackend(MiniSam(config))
