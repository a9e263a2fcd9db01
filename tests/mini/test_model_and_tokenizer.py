"""The mini's tokenizer and its packed forward: the same numbers as the real class, with less work."""

import numpy as np
import pytest
import torch
from PIL import Image

from segzero.contract import MULTI
from train.mini.language.tokenizer import build_processor, build_tokenizer
from train.mini.learning.model import Packed, PackedForward, build_model, to_patches

TEXTS = [
    "what could keep me dry?",
    "Something that keeps rain off is needed. The umbrella does that.",
    "is there a fire engine on the left",
]
ANSWER = (
    "<think>Something that keeps rain off is needed. The umbrella does that.</think>"
    '<answer>[{"bbox_2d": [10,100,120,167], "point_2d": [30,110]}, '
    '{"bbox_2d": [1,2,3,4], "point_2d": [2,3]}]</answer>'
)


@pytest.fixture(scope="module")
def processor():
    return build_processor(build_tokenizer(TEXTS, ["umbrella", "fire engine", "car"]))


@pytest.fixture(scope="module")
def model(processor):
    torch.manual_seed(0)
    return build_model(processor.tokenizer, vision_dim=64, vision_depth=2, text_dim=64, text_depth=2).eval()


def ask(processor, question):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (168, 168, 3)).astype(np.uint8))
    parts = [{"type": "image"}, {"type": "text", "text": MULTI.prompt(question)}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": parts}], add_generation_prompt=True, tokenize=False
    )
    return picture, processor(text=[text], images=[picture], return_tensors="pt")


def pieces(processor, text):
    return [processor.tokenizer.decode([token]) for token in processor.tokenizer(text)["input_ids"]]


def test_any_text_survives_the_tokenizer(processor):
    for text in (ANSWER, "Ünïcode ☂ <|x|> 12345 tabs\tand\nlines", ""):
        assert processor.tokenizer.decode(processor.tokenizer(text)["input_ids"]) == text


def test_a_number_a_name_and_a_fixed_phrase_are_one_token_each(processor):
    said = pieces(processor, ANSWER)
    assert said[:2] == ["<think>", "Something"]
    assert " umbrella" in said and "167" in said and ']}, {"bbox_2d": [' in said
    assert pieces(processor, "a fire engine")[-1] == " fire engine"
    assert processor.tokenizer("167")["input_ids"] == [167]


def test_a_question_costs_few_tokens(processor):
    _, inputs = ask(processor, TEXTS[0])
    assert (
        inputs["input_ids"].shape[1] == 7 + 36 + 1 + 1 + 6 + 1 + 4
    )  # head, picture, end, prompt, question, prompt, tail


def test_the_chat_template_is_qwens(processor):
    message = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "hello"}]}]
    text = processor.apply_chat_template(message, add_generation_prompt=True, tokenize=False)
    assert text == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
        "<|vision_start|><|image_pad|><|vision_end|>hello<|im_end|>\n<|im_start|>assistant\n"
    )


def test_patches_are_the_processors(processor):
    picture, inputs = ask(processor, "x")
    frames = torch.tensor(np.asarray(picture)).permute(2, 0, 1)[None]
    torch.testing.assert_close(to_patches(frames)[0], inputs["pixel_values"])


@torch.no_grad()
def test_two_questions_packed_answer_as_two_asked_alone(processor, model):
    forward = PackedForward(model)
    picture, first = ask(processor, TEXTS[0])
    _, second = ask(processor, TEXTS[2])
    head = (
        first["input_ids"][0].tolist().index(processor.tokenizer.convert_tokens_to_ids("<|vision_end|>")) + 1
    )
    ids, branch, position = [], [], []
    for number, inputs in enumerate((first, second), 1):
        where, _ = model.model.get_rope_index(
            inputs["input_ids"],
            image_grid_thw=inputs["image_grid_thw"],
            mm_token_type_ids=inputs["mm_token_type_ids"],
        )
        start = 0 if number == 1 else head
        ids.append(inputs["input_ids"][:, start:])
        position.append(where[:, :, start:])
        lengths = inputs["input_ids"].shape[1]
        branch.append(torch.tensor([[0] * (head - start) + [number] * (lengths - head)]))
    packed = Packed(torch.cat(ids, 1), torch.cat(branch, 1), torch.cat(position, 2))
    frames = torch.tensor(np.asarray(picture)).permute(2, 0, 1)[None]
    logits = model.lm_head(forward.read(packed, forward.see(frames))[-1])[0]
    alone = [model(**inputs).logits[0] for inputs in (first, second)]
    torch.testing.assert_close(logits[: len(alone[0])], alone[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(logits[len(alone[0]) :], alone[1][head:], atol=1e-5, rtol=1e-4)
