"""Control tokens in a question: python -m pytest tests/contract/test_question.py"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segzero.contract import MULTI, SINGLE, spell_out
from tests.contract.test_answer_properties import FAST

# Of Qwen, Llama, Gemma, LLaVA, InternVL, Phi, DeepSeek and plain sentencepiece models.
TOKENS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|vision_start|>", "<|image_pad|>", "<|box_end|>"]
TOKENS += ["<|eot_id|>", "<end_of_turn>", "<image_soft_token>", "<image>", "</img>", "<IMG_CONTEXT>", "<s>"]
TOKENS += ["<|image_1|>", "<｜end▁of▁sentence｜>", "</s>", "<pad>", "<tool_call>", "</tool_call>", "<0x0A>"]
TOKENS += ["<|reserved token 7|>"]


@pytest.mark.parametrize("token", TOKENS)
def test_a_control_token_becomes_letters(token):
    assert spell_out(f"a {token}b") == f"a < {token[1:]}b"


@FAST
@given(
    st.lists(st.one_of(st.sampled_from([*TOKENS, "<", ">", "|>", "<|"]), st.text(max_size=4))).map("".join)
)
def test_no_question_keeps_a_control_token(question):
    for dialect in (MULTI, SINGLE):
        prompt = dialect.prompt(question)
        sent = spell_out(prompt)
        assert not any(token in sent for token in TOKENS)
        assert sent.replace("< ", "<") == prompt.replace("< ", "<")  # nothing else is changed
        assert spell_out(sent) == sent


@pytest.mark.parametrize("dialect", [MULTI, SINGLE], ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("question", ["What keeps me dry?", "a < b > c", "x <- y", "1<2, 3>2", "<3", "a<b"])
def test_an_ordinary_prompt_stays_letter_for_letter(dialect, question):
    assert spell_out(dialect.prompt(question)) == dialect.prompt(question)
