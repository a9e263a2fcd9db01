"""A result in words, for the terminal and the page.

print(summary(result))      # 2 objects · 1.1 s · 64 tokens
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segzero.contract import Result


def headline(result: Result) -> str:
    """What was found, in a few words."""
    if result.status == "no_target":
        return "Nothing in the picture matches"
    if result.status == "unreadable":
        return "The answer could not be read"
    return plural(len(result.targets), "object")


def summary(result: Result) -> str:
    """The headline, the time it took, and how much the model wrote or how far its answers agree."""
    agree = result.confidence
    last = plural(result.tokens, "token") if agree is None else f"agreement {agree:.2f}"
    known = [last] if result.tokens or agree is not None else []  # answers of a batch are not counted
    return " · ".join([headline(result), f"{result.seconds['total']:.1f} s", *known])


def details(result: Result) -> str:
    """The summary, a line for each object, what was odd about the answer, and where the time went."""
    lines = [summary(result)]
    for number, (target, score) in enumerate(zip(result.targets, result.scores, strict=True), start=1):
        box = ", ".join(f"{value:g}" for value in target.box_xyxy)
        points = " ".join(f"({x:g}, {y:g})" for x, y in target.points_xy)
        name = f"{target.label}  " if target.label else ""
        lines.append(f"{number:>3}  {name}box {box}  point {points or '-'}  score {score:.2f}")
    if result.problem:
        lines.append(f"note: {result.problem}")
    if result.status == "unreadable":
        lines.append(f"the model wrote: {result.raw}")
    lines.append("seconds: " + ", ".join(f"{name} {value:.2f}" for name, value in result.seconds.items()))
    return "\n".join(lines)


def plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def printable(text: str) -> str:
    """The text without what could drive a terminal: control characters other than newline and tab, marks that
    turn the direction of writing, halves of characters. A model's words or a file's name may hold them."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))


def in_a_line(text: str) -> str:
    """A file's name, or a library's message, with "?" for what could break the line or drive a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
