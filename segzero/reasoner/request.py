"""A question in line among many, for the reasoners' answer_all.

requests = [Request("a", frame, MULTI.prompt("What keeps me dry?"))]
for key, text in reasoner.answer_all(requests, at_once=16): ...
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True, eq=False)
class Request:
    """key: comes back with the answer. frame: the square picture. prompt: a dialect's prompt text.

    temperature: 0 is greedy; above it the answer is drawn, the same for the same seed whatever is beside it.
    """

    key: Hashable
    frame: Image.Image
    prompt: str
    temperature: float = 0.0
    seed: int = 0
