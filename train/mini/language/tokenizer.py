"""The mini's tokenizer: a word-level vocabulary with Qwen2.5-VL's special tokens and chat template.

Built once, before the first training step, from the words of the TRAIN phrasings:

    python -m train.mini.language.tokenizer --out runs/mini-processor

Three choices keep a tiny model's sequences short, so that it learns and answers fast; the text it reads and
writes is exactly the text the 7B reads and writes:
  * every integer up to the frame's side is one token, so one token carries a coordinate's whole decision;
  * every concept's name is one token ("fire engine" too);
  * the fixed phrases of the prompt and of the answer's JSON are one token each.
Anything else falls back to single bytes, so any text can be encoded and nothing is ever unknown.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from segzero.contract import MINI, MULTI

FRAME_PX = MINI.frame.frame_px
SYSTEM = "You are a helpful assistant."
SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip
# Qwen2.5-VL's chat format, written for one picture or more and plain text.
CHAT_TEMPLATE = (
    "{% for m in messages %}"
    "{% if loop.first and m.role != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ m.role }}\n"
    "{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}"
    "{% if part.type == 'image' or 'image' in part %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def fixed_phrases() -> list[str]:
    """The text that never changes: both ends of the prompt, the chat roles, the answer's tags and JSON."""
    marker = "\x00"
    before, after = MULTI.prompt(marker).split(marker)
    roles = [f"system\n{SYSTEM}", "user\n", "assistant\n"]
    json = ['[{"bbox_2d": [', '], "point_2d": [', ']}, {"bbox_2d": [', "]}]", "[]"]
    return [before, after, *roles, "<think>", "</think>", "<answer>", "</answer>", *json]


def words_of(texts: Iterable[str], names: Iterable[str], limit: int = 3500) -> list[str]:
    """The most frequent pieces of `texts`, each with and without a space before it.

    A name of several words is one piece.
    """
    pattern = re.compile(_piece_pattern(names))
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(piece for piece in pattern.findall(text) if not piece.strip().isdigit())
    whole = [*sorted(names), *(piece.strip() for piece, _ in counts.most_common(limit) if piece.strip())]
    return list(dict.fromkeys(form for word in whole for form in (" " + word, word)))


def build_tokenizer(texts: Iterable[str], names: Iterable[str], frame_px: int = FRAME_PX) -> Tokenizer:
    """A tokenizer whose ids 0..frame_px-1 are the integers themselves.

    texts: train phrasings and thoughts; names: concept names and plurals, each one token with and without a
    leading space.
    """
    names = sorted(set(names))
    integers = [str(value) for value in range(frame_px)]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    words = [
        "".join(piece for piece, _ in to_bytes.pre_tokenize_str(word)) for word in words_of(texts, names)
    ]
    # Unigram takes the segmentation with the highest score: one whole word always beats its bytes.
    pieces = dict.fromkeys([*integers, *alphabet, *words])
    tokenizer = Tokenizer(
        models.Unigram([(piece, -10.0 * len(piece) ** 0.01) for piece in pieces], unk_id=None)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(_piece_pattern(names)), behavior="isolated"), to_bytes]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in fixed_phrases()])
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    return tokenizer


def build_processor(tokenizer: Tokenizer, frame_px: int = FRAME_PX):
    """The real Qwen2_5_VLProcessor around the mini's tokenizer; a frame passes through it unresized."""
    from transformers import PreTrainedTokenizerFast, Qwen2_5_VLProcessor, Qwen2VLImageProcessor
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )
    sizes = {"min_pixels": 28 * 28, "max_pixels": frame_px * frame_px}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**sizes),
        tokenizer=fast,
        video_processor=Qwen2VLVideoProcessor(**sizes),
        chat_template=CHAT_TEMPLATE,
    )


def _piece_pattern(names: Iterable[str]) -> str:
    several = sorted((name for name in names if re.search(r"[\s-]", name)), key=len, reverse=True)
    phrases = "".join(rf" ?{re.escape(name)}\b|" for name in several)
    return rf"{phrases}\d+| ?[^\W\d_]+| ?[^\w\s]+|_+|\s+"


def spoken(scenes: int = 1500) -> Iterator[str]:
    """Questions and thoughts as training will meet them, from `scenes` composed scenes."""
    from train.mini.language.knowledge import load_knowledge
    from train.mini.language.questions import sample_question
    from train.mini.world import Composer, World

    rng = np.random.default_rng(0)
    composer = Composer(World.load(), "train", concepts=sorted(load_knowledge().concepts))
    for _ in range(scenes):
        for question in sample_question(composer.scene(rng, (96, 80)), rng, "train", 8):
            yield question.text.lower()
            yield question.thought


def train_processor():
    """The mini's processor, its words taken from everything that training says."""
    from train.mini.language.knowledge import names
    from train.mini.language.questions import corpus

    return build_processor(build_tokenizer(chain(corpus(), spoken()), names()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the processor")
    args = parser.parse_args()
    processor = train_processor()
    processor.save_pretrained(args.out)
    print(f"{len(processor.tokenizer)} tokens, saved to {args.out}")


if __name__ == "__main__":
    main()
