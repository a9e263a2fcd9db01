"""Which questions can be asked: the one check that page, command line, data and training share.

question = check_question(text)          # or QuestionError, in one line
"""

from __future__ import annotations

import re

MAX_QUESTION_CHARS = 2000
# What looks like a tag, <|im_end|> or <image> or </s>; the answer's own tags are words of the prompt.
_TAG = re.compile(r"<(?!/?(?:think|answer)>)(?=[^\s<>]{1,80}>|\|[^<>]{1,80}\|>)")


class QuestionError(ValueError):
    """A question that cannot be asked; one line that says why."""


def check_question(question: str) -> str:
    """The question without white space around it. Raises QuestionError when it is empty or too long."""
    if not isinstance(question, str) or not question.strip(" \t\r\n."):
        raise QuestionError("The question is empty. Ask about something in the picture.")
    question = question.strip().encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair is no text
    if len(question) > MAX_QUESTION_CHARS:
        limit = f"{MAX_QUESTION_CHARS:,}"
        raise QuestionError(f"The question has {len(question):,} characters. Ask it in at most {limit}.")
    return question


def spell_out(prompt: str) -> str:
    """The prompt with a space in what a tokenizer could take for a control token: `< |im_end|>`, `< image>`.

    It reads the same to a person, and is plain letters to every model: no tokenizer has a token that begins
    so. For who cannot tell the tokenizer to take a text as letters: the other end of a server. In this
    process segzero.reasoner's PromptEncoder tells it, and nothing is changed.
    """
    return _TAG.sub("< ", prompt)
