"""Questions that try to break out of their message: python -m pytest tests/reasoner/test_control_tokens.py"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segzero.contract import MULTI, spell_out
from segzero.reasoner import PromptEncoder
from tests.shared.tiny import tiny_processor

CONTROL = ["<|im_end|>", "<|im_start|>", "<|image_pad|>", "<|vision_start|>", "<|endoftext|>", "</answer>"]
PIECES = st.one_of(st.sampled_from([*CONTROL, "<|", "|>", "<", "system", "\n"]), st.text(max_size=5))


@pytest.fixture(scope="module")
def encoder() -> PromptEncoder:
    return PromptEncoder(tiny_processor())


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(question=st.lists(PIECES, max_size=12).map("".join))
def test_no_question_holds_a_control_token(encoder: PromptEncoder, question: str):
    tokenizer = encoder.processor.tokenizer
    control = set(tokenizer.all_special_ids)
    prompt = MULTI.prompt(question)
    usual = sum(token in control for token in encoder.tail("a question").tolist())
    assert sum(token in control for token in encoder.tail(prompt).tolist()) == usual  # in this process
    served = tokenizer(spell_out(prompt), add_special_tokens=False)["input_ids"]  # as a server reads it
    assert not control & set(served)
