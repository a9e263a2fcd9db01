"""What the reasoner wrote, read while it is written: the thought, and targets in original-image pixels.

    from segzero.contract import MULTI, parse_answer
    parse_answer(text, MULTI, Frame(frame_px=840), image_wh=image.size).targets

Frame coordinates come in with the text and never leave it. Whatever a text holds, reading it raises nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Literal

from segzero.contract.dialect import DIALECTS, MULTI, SINGLE, Dialect
from segzero.contract.frame import Frame
from segzero.contract.geometry import Target
from segzero.contract.object_scanner import ObjectScanner, find_objects
from segzero.contract.target_reader import TargetReader

__all__ = ["DIALECTS", "MULTI", "SINGLE", "STOP", "Answer", "AnswerStream", "Dialect", "parse_answer"]

STOP = "</answer>"
_START, _THINK, _THOUGHT = "<answer>", "<think>", "</think>"
_EMPTY_LIST = re.compile(r"\[\s*\]")
_EXCERPT_CHARS = 60


@dataclass(frozen=True)
class Answer:
    """A whole answer, read.

    status: "ok" (there are targets), "no_target" (the answer says that nothing matches) or "unreadable".
    thinking: the chain of thought without its tags.
    targets: original-image pixels, in the order written; empty unless status is "ok".
    written: the same in the frame's own numbers, as the model wrote them, x before y; to show, not to use.
    problem: "" when the answer was clean; else what was accepted by mercy, what was left out, or why it is
        unreadable, as one line of sentences.
    """

    status: Literal["ok", "no_target", "unreadable"]
    thinking: str
    targets: tuple[Target, ...]
    problem: str
    written: tuple[Target, ...] = field(default=(), compare=False, repr=False)


def parse_answer(text: str, dialect: Dialect, frame: Frame, image_wh: tuple[int, int]) -> Answer:
    """Read everything a reasoner wrote. The same as feeding it to an AnswerStream piece by piece."""
    stream = AnswerStream(dialect, frame, image_wh)
    stream.feed(text)
    return stream.finish()


class AnswerStream:
    """Reads an answer as it is written, each character once, however the text is cut into deltas.

    closed: `</answer>` was seen; what is fed after it is ignored.
    """

    def __init__(self, dialect: Dialect, frame: Frame, image_wh: tuple[int, int]) -> None:
        self._dialect = dialect
        self._reader = TargetReader(dialect, frame, image_wh)
        self._scanner = ObjectScanner()
        self._chars: list[str] = []
        self._thought: list[str] = []  # its pieces so far, without tags and without white space around it
        self._thought_read = 0  # up to where in _chars it is in them
        self._opened = False  # the <think> that is left out of the thought has been
        self._solid = 0  # behind the last character that is not white space
        self._thought_end: int | None = None  # where </think> begins
        self._tag_at: int | None = None  # where the <answer> that counts begins, or the one that might
        self._answering = False  # inside <answer>: every further object is a target
        self._pending = False  # after an <answer> in the open: the next character decides
        self._answer: Answer | None = None
        self.closed = False

    @property
    def text(self) -> str:
        """Everything fed so far, up to and including `</answer>`."""
        return "".join(self._chars)

    @property
    def thinking(self) -> str:
        """The thought so far, without tags; a tag that is only half there is held back.

        Each character is looked at once, however often it is asked for.
        """
        if self._thought_end is not None:
            end = self._thought_end
        else:
            end = self._tag_at if self._answering or self._pending else self._before_half_a_tag()
        end = min(end, self._solid)  # white space waits for what follows it
        if end > self._thought_read:
            piece = "".join(self._chars[self._thought_read : end])
            self._thought_read = end
            if not self._opened and _THINK in piece:
                piece, self._opened = piece.replace(_THINK, "", 1), True
            self._thought.append(piece if any(self._thought) else piece.lstrip())
        self._thought = ["".join(self._thought)]
        return self._thought[0].rstrip()

    def feed(self, delta: str) -> list[Target]:
        """Take the next piece of text. Returns the targets whose objects closed in it, original-image pixels.

        Raises RuntimeError after `finish`.
        """
        if self._answer is not None:
            raise RuntimeError("this answer is finished; start a new AnswerStream")
        before = len(self._reader.targets)
        for char in delta:
            if self.closed:
                break
            self._chars.append(char)
            if not char.isspace():
                self._solid = len(self._chars)
            self._take(char)
        return self._reader.targets[before:]

    def finish(self) -> Answer:
        """The answer as a whole. Its targets begin with those that `feed` returned."""
        if self._answer is None:
            self._answer = self._conclude()
        return self._answer

    def _take(self, char: str) -> None:
        if self._pending and not char.isspace():
            self._pending = False
            self._answering = char in "[{`"  # anything else: the thought is only speaking of the tag
        if self._answering:
            if char == ">" and self._ends_with(STOP):
                self.closed = True
                return
            found = self._scanner.push(char)
            if found is not None:
                self._reader.add(found)
        elif char == ">":
            self._take_tag()

    def _take_tag(self) -> None:
        """A tag outside the answer may have closed; before </think> it may be just a word of the thought."""
        here = len(self._chars)
        if self._ends_with(_THOUGHT):
            if self._thought_end is None:
                self._thought_end = here - len(_THOUGHT)
        elif self._ends_with(_START):
            self._tag_at = here - len(_START)
            first = self._tag_at < 100 and not "".join(self._chars[: self._tag_at]).strip()
            self._answering = first or self._thought_end is not None
            self._pending = not self._answering
        elif self._ends_with(STOP):
            before = "".join(self._chars[-len(STOP) - 20 : -len(STOP)]).rstrip()
            self.closed = self._thought_end is not None or before.endswith(("]", "}", "`"))

    def _before_half_a_tag(self) -> int:
        """Where the text so far ends, without a beginning of a tag at its end."""
        tail = "".join(self._chars[-len(_START) :])
        half = tail[tail.rfind("<") :] if "<" in tail else ""
        is_half = half and any(tag.startswith(half) for tag in (_THINK, _THOUGHT, _START))
        return len(self._chars) - (len(half) if is_half else 0)

    def _ends_with(self, tag: str) -> bool:
        return "".join(self._chars[-len(tag) :]) == tag

    def _conclude(self) -> Answer:
        text, thinking, notes = self.text, self.thinking, []
        if self._answering:
            body = text[self._tag_at + len(_START) :].removesuffix(STOP)
        else:
            body, thinking = self._without_tags(text.removesuffix(STOP), thinking)
            notes.append("There were no answer tags.")
        for found in self._scanner.rest() if self._answering else find_objects(body):
            self._reader.add(found)
        notes += self._form(body) + self._reader.notes()
        if self._reader.targets:
            read = (tuple(self._reader.targets), " ".join(notes), tuple(self._reader.written))
            return Answer("ok", thinking, *read)
        if self._reader.seen == 0 and "{" not in body and _EMPTY_LIST.search(body):
            return Answer("no_target", thinking, (), " ".join(notes))
        return Answer("unreadable", thinking, (), self._reason(text, body))

    def _without_tags(self, text: str, thinking: str) -> tuple[str, str]:
        """Where the answer is when no tag marks it, and the thought before it.

        After the thought; or, in a text without tags, from its first object on. A thought that never closed
        gives an answer only when the text ends with one: what it weighs on the way is no answer.
        """
        if self._thought_end is not None:
            return text[self._thought_end + len(_THOUGHT) :], thinking
        if _THINK in text and not text.rstrip("` \n").endswith(("]", "}")):
            return "", thinking
        first = next(find_objects(text), None)
        empty = _EMPTY_LIST.search(text)
        if first or empty:
            thought = text[: text.index(first) if first else empty.start()].rstrip("[ \n")
            thought = thought.removesuffix("```json").removesuffix("```")
        else:
            thought = text if self._tag_at is None else text[: self._tag_at + len(_START)]
        return text[len(thought) :], thought.removesuffix(_START).replace(_THINK, "", 1).strip()

    def _form(self, body: str) -> list[str]:
        """What is odd about the answer around its objects, as sentences; none if it is as in its dialect."""
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            if "```" in body:
                return ["The answer was in a code fence."]
            if self._answering and not self.closed:
                return ["The answer was cut off; what was complete is kept."]
            return [] if self._reader.guessed else ["There was more than JSON in the answer."]
        notes = [] if self.closed or not self._answering else ["The answer was not closed."]
        if value != [] and isinstance(value, list) != (self._dialect.max_targets > 1):
            notes.append(f"The answer was {'' if isinstance(value, list) else 'not '}a list.")
        if isinstance(value, list) and len(value) > self._reader.objects:
            notes.append("Entries without a bbox were left out.")
        return notes

    def _reason(self, text: str, body: str) -> str:
        """Why there is nothing to show, in one line."""
        if not text.strip():
            return "The model wrote nothing."
        if self._reader.seen:
            return "The answer names nothing usable. " + " ".join(self._reader.notes())
        if not self._answering and not body.strip():
            return "The text ends before any answer; it may have been cut off by the token limit."
        if self._answering and not self.closed:
            return "The answer was cut off before its first target was complete."
        if not body.strip():
            return "The answer is empty."
        excerpt = "".join(c if c.isprintable() else " " for c in body.strip()[:_EXCERPT_CHARS])
        return f"The answer holds no bbox: {excerpt}"
