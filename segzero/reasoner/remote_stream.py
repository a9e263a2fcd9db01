"""What an OpenAI-compatible server sends, read as one text, whatever shape it has.

    events = read_events(response.iter_bytes())   # server-sent events, or one JSON body: JSON values
    for piece in read_text(events): ...           # one line of text, in pieces

Servers differ: some send their whole answer at once although a stream was asked for, some put the thought
in a field of its own, some write content as a list of parts. All of that is read. What is no answer is a
BadAnswer, in words that end the sentence "the server …".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from segzero.contract import STOP

MAX_BODY_BYTES, MAX_TEXT_CHARS = 4_000_000, 1_000_000
"""More than these is no answer to a question about a picture."""

_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")
_THINK, _THOUGHT = "<think>", "</think>"
_BROKEN = ("content_filter", "error", "abort", "cancelled")
"""Reasons to finish that leave no answer. Others do: it ended, or has as many tokens as were asked for."""


class BadAnswer(Exception):
    """What a server did in place of answering, such as "sent a web page"."""


def read_events(body: Iterable[bytes]) -> Iterator[Any]:
    """The JSON value of each server-sent event; None for a line that is not one, such as a comment.

    A body that has no events is one JSON value. Ends at [DONE]. Raises BadAnswer.
    """
    data: list[str] = []  # of the event that is being read
    other, size, events = [], 0, 0
    for line in _lines(body):
        size += len(line)
        field, _, value = line.partition(":")
        done = field == "data" and value.strip() == "[DONE]"
        if field == "data" and not done:
            data.append(value.removeprefix(" "))
        elif field not in ("data", "", "event", "id", "retry"):
            other.append(line)
        if data and (done or not line):
            yield from _values(data)
            data, size, events = [], 0, events + 1
        if done:
            return
        if size > MAX_BODY_BYTES:
            raise BadAnswer("sent megabytes that are no answer")
        yield None
    if other and not events:
        yield _json("\n".join(other))


def _lines(body: Iterable[bytes]) -> Iterator[str]:
    pending, first = b"", True
    for chunk in body:
        *lines, pending = _LINE_END.split(pending + chunk)
        for line in lines:
            yield line.decode("utf-8-sig" if first else "utf-8", "replace")
            first = False
        if len(pending) > MAX_BODY_BYTES:
            raise BadAnswer("sent megabytes that are no answer")
    yield pending.rstrip(b"\r").decode("utf-8-sig" if first else "utf-8", "replace")
    yield ""


def _values(data: list[str]) -> Iterator[Any]:
    """Of an event's lines: one value, or one a line where a server leaves no blank lines between events."""
    try:
        yield _json("\n".join(data))
    except BadAnswer:
        if len(data) == 1:
            raise
        yield from map(_json, data)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        what = "a web page" if text.lstrip()[:1] == "<" else "something that is no JSON"
        raise BadAnswer(f"sent {what}, not an answer") from error


def read_text(events: Iterable[Any]) -> Iterator[str]:
    """The text of the first choice in pieces, up to and including `</answer>`; "" where an event has none.

    A thought in a field of its own comes in <think> tags. A stop text that the server swallowed is put back.
    Raises BadAnswer.
    """
    thoughts, pieces, tail, length = _Thoughts(), [], "", 0
    answered, ended = False, None
    for event in events:
        said, reason = _choice(event)
        answered, ended = answered or said is not None, reason or ended
        new = thoughts.join(*_parts(said or {}))
        end = (tail + new).find(STOP)
        if end >= 0:
            yield (tail + new)[len(tail) : end + len(STOP)]
            return
        pieces.append(new)
        tail, length = (tail + new)[1 - len(STOP) :], length + len(new)
        if length > MAX_TEXT_CHARS:
            raise BadAnswer("writes on and on; its answer has no end")
        yield new
    if not length and (not answered or ended in (None, *_BROKEN)):
        raise BadAnswer("sent an answer without any text" + (f" ({ended})" if ended else ""))
    if ended in (None, *_BROKEN):
        why = f" ({ended})" if ended else ""
        raise BadAnswer(f"broke off after {length} characters of its answer{why}")
    if ended != "length" and "<answer>" in "".join(pieces):
        yield STOP  # a server that does not know include_stop_str_in_output cuts it off


def _choice(event: Any) -> tuple[Mapping | None, str | None]:
    """What the first choice of an event says, and why it finished. Raises BadAnswer for an error."""
    if not isinstance(event, Mapping):
        return None, None
    choices = event.get("choices")
    if error := event.get("error") or (not choices and (event.get("message") or event.get("detail"))):
        said = error.get("message") if isinstance(error, Mapping) else error
        raise BadAnswer(f"reported an error: {' '.join(str(said or error).split())[:200]}")
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, Mapping) and not choice.get("index"):
            said = choice.get("delta") or choice.get("message")
            if said is None and "text" in choice:
                said = {"content": choice["text"]}
            reason = choice.get("finish_reason")
            known = isinstance(said, Mapping) or "delta" in choice and isinstance(choice["delta"], Mapping)
            return (said or {}) if known else None, reason if isinstance(reason, str) else None
    return None, None


def _parts(said: Mapping) -> tuple[str, str]:
    """The thought and the text of a message, or of a piece of one."""
    thought, content = _plain(said.get("reasoning_content") or said.get("reasoning")), said.get("content")
    text = []
    for part in content if isinstance(content, list) else [content]:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind in ("thinking", "reasoning"):
            thought += _plain(part.get(kind) or part.get("text"))
        else:
            text.append(_plain(part))
    return thought, "".join(text)


def _plain(value: Any) -> str:
    """The text in a string, in a part {"type": "text", "text": …}, or in a list of these."""
    if isinstance(value, Mapping):
        value = value.get("text")
    if isinstance(value, list):
        return "".join(_plain(each) for each in value)
    return value if isinstance(value, str) else ""


class _Thoughts:
    """Puts thoughts that come in a field of their own into the tags that they lack, before the content."""

    def __init__(self) -> None:
        self._thought: list[str] = []
        self._told = self._over = False  # whether any of it was handed on, and whether content has begun

    def join(self, thought: str, content: str) -> str:
        """What these two add to the text. Thoughts that come after content are left out."""
        new = ""
        if thought and not self._over:
            self._thought.append(thought)
            new = thought if self._told else self._beginning(sure=False)
        if content and not self._over:
            self._over = True
            new += "" if self._told else self._beginning(sure=True)
            if self._told and _THOUGHT not in "".join(self._thought) + content[: len(_THOUGHT)]:
                new += _THOUGHT
        return new + content

    def _beginning(self, *, sure: bool) -> str:
        """What was thought until now with its tag; "" as long as it may be the beginning of a tag."""
        thought = "".join(self._thought)
        begin = thought.lstrip()
        if not begin or (not sure and begin != _THINK and _THINK.startswith(begin)):
            return ""
        self._told = True
        return thought if begin.startswith(_THINK) else _THINK + thought
