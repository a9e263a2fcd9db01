"""Tiny random models of the real classes, for tests: nothing is downloaded, and one answers in milliseconds.

folder = save_tiny_reasoner(tmp_path)                 # Qwen2.5-VL; then Reasoner.load(folder)
folder = save_tiny_reasoner(tmp_path, "qwen3_vl")     # one of FAMILIES
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
    PreTrainedModel,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
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

_SYSTEM = (
    "{% if messages[0]['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% endif %}"
)
_TURNS = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHAT_TEMPLATE = _SYSTEM + _TURNS
"""Renders what Qwen2.5-VL's own template renders for these messages."""
THINKING = "{% if add_generation_prompt %}<think>\n{% endif %}"
"""What thinking templates have at their end: the answer begins inside a thought."""
TEMPLATES = {"qwen2_5_vl": CHAT_TEMPLATE, "qwen3_vl": _TURNS, "qwen3_5": _TURNS + THINKING}
"""What the families' own render. Qwen3-VL has no system prompt of its own, and Qwen3.5 thinks."""
FAMILIES = tuple(TEMPLATES)


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


def tiny_processor(family: str = "qwen2_5_vl") -> ProcessorMixin:
    """The real processor; its picture limits are those of the public weights."""
    tokenizer, template = tiny_tokenizer(), TEMPLATES[family]
    if family == "qwen2_5_vl":
        size = {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 16384}
        images, videos = Qwen2VLImageProcessor(size=size), Qwen2VLVideoProcessor()
        return Qwen2_5_VLProcessor(images, tokenizer, videos, chat_template=template)
    size = {"shortest_edge": 256 * 256, "longest_edge": 4096 * 4096}
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    images = Qwen2VLImageProcessor(size=size, patch_size=16, **half)
    return Qwen3VLProcessor(images, tokenizer, Qwen3VLVideoProcessor(), chat_template=template)


_SMALL = {"hidden_size": 32, "intermediate_size": 64, "initializer_range": 0.4}
_ATTENTION = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16}
_ROPE = {"rope_type": "default", "rope_theta": 100.0, "mrope_section": [2, 3, 3]}


def _qwen2_5_vl(text: dict, vision: dict, tokens: dict) -> Qwen2_5_VLForConditionalGeneration:
    text |= {"num_hidden_layers": 2, "rope_parameters": _ROPE}
    del text["head_dim"]
    vision |= {"depth": 2, "fullatt_block_indexes": [1], "window_size": 112}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, **tokens)
    return Qwen2_5_VLForConditionalGeneration(config)


def _qwen3_vl(text: dict, vision: dict, tokens: dict) -> Qwen3VLForConditionalGeneration:
    """With DeepStack: features of two vision layers go to the first two of three text layers."""
    text |= {"num_hidden_layers": 3, "rope_parameters": _ROPE | {"mrope_interleaved": True}}
    vision |= {"depth": 3, "deepstack_visual_indexes": [0, 1], "num_position_embeddings": 16}
    return Qwen3VLForConditionalGeneration(Qwen3VLConfig(text_config=text, vision_config=vision, **tokens))


def _qwen3_5(text: dict, vision: dict, tokens: dict) -> Qwen3_5ForConditionalGeneration:
    """With one layer of linear attention and one of full."""
    rope = _ROPE | {"mrope_interleaved": True, "partial_rotary_factor": 1.0}
    text |= {"num_hidden_layers": 2, "layer_types": ["linear_attention", "full_attention"]}
    text |= {"rope_parameters": rope, "linear_num_key_heads": 2, "linear_num_value_heads": 2}
    text |= {"linear_key_head_dim": 16, "linear_value_head_dim": 16}
    vision |= {"depth": 2, "num_position_embeddings": 16}
    model = Qwen3_5ForConditionalGeneration(Qwen3_5Config(text_config=text, vision_config=vision, **tokens))
    with torch.no_grad():  # else what it says depends on the last few tokens alone
        model.get_input_embeddings().weight.mul_(0.05)
        model.model.language_model.layers[0].linear_attn.A_log.fill_(-6.0)
        model.model.language_model.layers[1].self_attn.q_norm.weight.fill_(3.0)
    return model


_MAKE = {"qwen2_5_vl": _qwen2_5_vl, "qwen3_vl": _qwen3_vl, "qwen3_5": _qwen3_5}


def tiny_model(tokenizer: Qwen2Tokenizer, seed: int = 0, family: str = "qwen2_5_vl") -> PreTrainedModel:
    """Random weights, so large that what it says depends on the picture and on the whole prompt."""
    token = tokenizer.convert_tokens_to_ids
    text = _SMALL | _ATTENTION
    text |= {"vocab_size": len(tokenizer), "bos_token_id": None}
    text |= {"eos_token_id": token("<|im_end|>"), "pad_token_id": token("<|endoftext|>")}
    vision = _SMALL | {"num_heads": 2, "out_hidden_size": 32}
    names = {"image": "image_pad", "video": "video_pad", "vision_start": "vision_start"}
    names["vision_end"] = "vision_end"
    tokens = {f"{name}_token_id": token(f"<|{written}|>") for name, written in names.items()}
    torch.manual_seed(seed)
    model = _MAKE[family](text, vision, tokens | {"tie_word_embeddings": False}).eval()
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


def save_tiny_reasoner(folder: Path, family: str = "qwen2_5_vl", seed: int = 0) -> Path:
    """A folder that AutoProcessor and AutoModelForImageTextToText load. Returns it."""
    processor = tiny_processor(family)
    processor.save_pretrained(folder)
    tiny_model(processor.tokenizer, seed, family).save_pretrained(folder)
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


def tiny_sam2_parts():
    """A random Sam2Model of 64 px and its Sam2Processor."""
    from transformers import Sam2Config, Sam2ImageProcessor, Sam2Model, Sam2Processor

    torch.manual_seed(0)
    sizes = [[16, 16], [8, 8], [4, 4]]
    config = Sam2Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1,
                "blocks_per_stage": [1, 2, 1, 1], "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 1, 1], "window_size_per_stage": [4, 4, 4, 4],
                "global_attention_blocks": [2], "image_size": [64, 64],
                "window_positional_embedding_background_size": [2, 2],
            },
            "backbone_channel_list": [64, 32, 16, 8], "backbone_feature_sizes": sizes, "fpn_hidden_size": 32,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 64, "mask_input_channels": 8},
        mask_decoder_config={
            "hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
        },
    )  # fmt: skip
    processor = Sam2Processor(Sam2ImageProcessor(size={"height": 64, "width": 64}), target_size=64)
    return Sam2Model(config).eval(), processor


def save_tiny_sam2(folder: Path) -> Path:
    """A folder that Segmenter.load takes for SAM 2. Returns it."""
    for part in tiny_sam2_parts():
        part.save_pretrained(folder)
    return folder
