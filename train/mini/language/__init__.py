"""What is said about the small world: facts, wordings, questions with true answers, and the tokenizer.

    from train.mini.language import load_knowledge, sample_question

Imports the world and the core's contract; knows nothing of models.
"""

from train.mini.language.knowledge import load_knowledge, name_forms
from train.mini.language.questions import DEFAULT_WEIGHTS, KINDS, Question, sample_question
from train.mini.language.tokenizer import FRAME_PX, train_processor

__all__ = [
    "DEFAULT_WEIGHTS",
    "FRAME_PX",
    "KINDS",
    "Question",
    "load_knowledge",
    "name_forms",
    "sample_question",
    "train_processor",
]
