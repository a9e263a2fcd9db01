"""What is asked of a chat template, and what it may have begun.

python -m pytest tests/reasoner/test_chat_templates.py
"""

from __future__ import annotations

import pytest
from transformers import Qwen2VLImageProcessor

from segzero.hub import ModelError
from segzero.reasoner import PromptEncoder, Reasoner
from tests.shared.tiny import CHAT_TEMPLATE, THINKING, save_tiny_reasoner, tiny_processor

BEGIN = "{% if add_generation_prompt %}"
MESSAGE = "{% set parts = messages[0]['content'] %}"
TEXT = "{% for part in parts %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
PICTURE = "{% for part in parts %}{% if part['type'] == 'image' %}<|image_pad|>{% endif %}{% endfor %}"


def encoder(template, of_tokenizer=None) -> PromptEncoder:
    processor = tiny_processor()
    processor.chat_template, processor.tokenizer.chat_template = template, of_tokenizer
    return PromptEncoder(processor)


@pytest.mark.parametrize(
    ("more", "prefill"),
    [
        ("", ""),
        (THINKING, "<think>\n"),
        (BEGIN + "<think>{% endif %}", "<think>"),
        (BEGIN + "<think>\n\n</think>\n\n{% endif %}", "<think>\n\n</think>\n\n"),
        (BEGIN + "Sure. <think>\nOkay, {% endif %}", "<think>\nOkay, "),
        (BEGIN + "{% if enable_thinking is defined %}<think>{% endif %}{% endif %}", ""),
        ("{% if not add_generation_prompt %}<think>{% endif %}", ""),
    ],
)
def test_what_a_template_has_begun(more: str, prefill: str):
    begun = encoder(CHAT_TEMPLATE + more)
    assert begun.prefill == prefill
    tail = begun.processor.tokenizer.decode(begun.tail("a question"))
    assert tail.endswith("<|im_start|>assistant\n" + more.removeprefix(BEGIN).partition("{%")[0])


def test_tags_in_the_users_own_turn_are_not_begun():
    asked = MESSAGE + PICTURE + TEXT + "\nThink in <think></think> tags.\n"
    assert encoder(asked + BEGIN + "Assistant: {% endif %}").prefill == ""
    assert encoder(asked + BEGIN + "Assistant: <think>{% endif %}").prefill == "<think>"
    assert encoder("<think> is a tag. " + CHAT_TEMPLATE).prefill == ""


@pytest.mark.parametrize("none", [None, ""])
def test_a_tokenizers_template_stands_in(none):
    assert encoder(none, CHAT_TEMPLATE).tail("a").tolist() == encoder(CHAT_TEMPLATE).tail("a").tolist()
    named = {"default": CHAT_TEMPLATE + THINKING, "tool_use": "nothing"}
    assert encoder(none, named).prefill == "<think>\n" and encoder(named).prefill == "<think>\n"
    assert encoder(CHAT_TEMPLATE, CHAT_TEMPLATE + THINKING).prefill == ""


@pytest.mark.parametrize(
    ("template", "why"),
    [
        (None, "no chat template"),
        ("", "no chat template"),
        ("{% if %}", "cannot be read"),
        ("{{ raise_exception('Only text,\nplease.') }}", "cannot be read .*Only text"),
        ("{{ messages[0]['content'] + 'x' }}", "cannot be read"),
        ("{{ messages[7].content.x }}", "cannot be read"),
        ({"rag": CHAT_TEMPLATE}, "cannot be read"),
        ("<|image_pad|>", "the user's text once"),
        (MESSAGE + PICTURE + TEXT + TEXT, "the user's text once"),
        (MESSAGE + TEXT, "the picture before the user's text"),
        (MESSAGE + TEXT + PICTURE, "the picture before the user's text"),
        ("{{ messages[0]['content'] }}", "the picture before the user's text"),
    ],
)
def test_a_template_that_will_not_do_is_told_in_one_line(template, why: str):
    with pytest.raises(ValueError, match=why) as caught:
        encoder(template)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_weights_without_a_template_are_told_in_one_line(tmp_path):
    folder = save_tiny_reasoner(tmp_path)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="it has no chat template") as caught:
        Reasoner.load(folder, device="cpu")
    assert "\n" not in str(caught.value)


def test_a_processor_of_pictures_or_text_alone_is_told():
    for lone in (Qwen2VLImageProcessor(), tiny_processor().tokenizer):
        with pytest.raises(ValueError, match="not one of pictures and text"):
            PromptEncoder(lone)
