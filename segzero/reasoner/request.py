"""A question in line among many, for the reasoners' answer_all.

requests = [Request("a", frame, MULTI.prompt("What keeps me dry?"))]
requests = several("a", frame, prompt, count=8)
for key, text in reasoner.answer_all(requests, at_once=16): ...
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from PIL import Image

TEMPERATURE = 0.7
"""How boldly answers are drawn that vote, unless somebody says otherwise."""


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


def several(
    name: str, frame: Image.Image, prompt: str, count: int, temperature: float = TEMPERATURE
) -> Iterator[Request]:
    """Ask one question `count` times: the first answer greedy, the others drawn; keys (name, 0), (name, 1), …

    An answer's seed depends on its key alone: who asks again, or goes on where a run ended, draws the same.
    """
    yield Request((name, 0), frame, prompt)
    for number in range(1, count):
        yield Request((name, number), frame, prompt, temperature, _seed(name, number))


def _seed(name: str, number: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{name}/{number}".encode(), digest_size=4).digest(), "big")
