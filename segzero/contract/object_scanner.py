"""Finds the JSON objects that hold a bbox in text that arrives a character at a time.

    from segzero.contract.object_scanner import ObjectScanner
    scanner = ObjectScanner()
    for char in text:
        found = scanner.push(char)      # the object's text when its brace closes, else None

Models do not always write JSON, so this follows braces and quotes only, and never gets stuck on either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_OBJECT_CHARS = 4000  # an object of a picture's target needs about a hundred
MAX_DEPTH = 8
_OWN_BOX = re.compile(r"bbox\w{0,40}[\"']?\s{0,9}[:=]\s{0,9}[\[(]{1,2}\s{0,9}[\"']?-?[\d.]", re.IGNORECASE)
_FLAT_OBJECT = re.compile(r"\{[^{}]{1,4000}\}")


class ObjectScanner:
    """Braces seen so far. The innermost object with a bbox is what counts; what wraps it is passed over, but
    for one with a box of its own, which comes after those inside it."""

    def __init__(self) -> None:
        self._chars: list[str] = []  # from the outermost open brace on
        self._open: list[int] = []  # where in _chars each open object starts
        self._done = 0  # up to where in _chars objects have been returned
        self._returned: list[tuple[int, int]] = []  # where those are
        self._quote = ""  # inside a string: its quote
        self._may_close = False  # that quote came again; the next character tells whether it ended the string
        self._escaped = False
        self._before = ""  # the last character outside strings that is not white space

    def push(self, char: str) -> str | None:
        """Take one character. Returns an object's text when the character closes one that holds a bbox."""
        if not self._open and char != "{":
            return None
        self._chars.append(char)
        if self._quote and not self._string_ends(char):
            return None
        if char.isspace():
            return None
        before, self._before = self._before, char
        if char == "{":
            self._open.append(len(self._chars) - 1)
            del self._open[:-MAX_DEPTH]
        elif char == "}":
            return self._close()
        elif char in "\"'" and before and before in "{[(,:":
            self._quote, self._may_close, self._escaped = char, False, False
        return None

    def rest(self) -> list[str]:
        """What is left when the text ends: objects that a broken quote swallowed."""
        texts = _FLAT_OBJECT.findall("".join(self._chars[self._done :])) if self._open else []
        self._reset()
        return [text for text in texts if "bbox" in text.lower()]

    def _string_ends(self, char: str) -> bool:
        """Whether the string ended before `char`: at its quote, if a quote that JSON allows there."""
        if self._may_close and not char.isspace():
            self._may_close = False
            if char in ":,}])":
                self._quote = ""
                return True
        if self._escaped:
            self._escaped = False
        elif char == "\\":
            self._escaped = True
        elif char == self._quote:
            self._may_close = True
        return False

    def _close(self) -> str | None:
        start, end = self._open.pop(), len(self._chars)
        found = None
        if start >= self._done:
            if end - start <= MAX_OBJECT_CHARS:
                text = "".join(self._chars[start:end])
                found = text if "bbox" in text.lower() else None
        else:  # it wraps some that are returned already
            text = self._around(start, end)
            found = text if len(text) <= MAX_OBJECT_CHARS and _OWN_BOX.search(text) else None
        if found is not None:
            self._done = end
            while self._returned and self._returned[-1][0] >= start:
                self._returned.pop()
            self._returned.append((start, end))
        if not self._open:
            self._reset()
        return found

    def _around(self, start: int, end: int) -> str:
        """An object's text without the objects in it that were returned."""
        backwards, at = [], end  # so that the objects before it are not gone through each time
        for first, after in reversed(self._returned):
            if first < start:
                break
            backwards += ["".join(self._chars[after:at]), "null"]
            at = first
        backwards.append("".join(self._chars[start:at]))
        return "".join(reversed(backwards))

    def _reset(self) -> None:
        self._chars, self._open, self._done, self._returned = [], [], 0, []
        self._quote, self._before = "", ""


def find_objects(text: str) -> Iterator[str]:
    """Every object with a bbox in a text that is all there, in order."""
    scanner = ObjectScanner()
    for char in text:
        found = scanner.push(char)
        if found is not None:
            yield found
    yield from scanner.rest()
