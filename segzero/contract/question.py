"""Which questions can be asked: the one check that page, command line, data and training share.

question = check_question(text)          # or QuestionError, in one line
"""

from __future__ import annotations

MAX_QUESTION_CHARS = 2000


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
