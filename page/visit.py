"""One visitor's conversation: what the pipeline's events do to the chat and to the stage.

    visit.ask("photo.jpg", "What keeps the rain off?", image, cache)
    for _ in visit.follow(pipeline.stream(image, visit.question, cancel=visit.cancel)):
        show(visit.chat, visit.view)

A Visit lives on the server, in gr.State. What the browser sends back of chat or stage is never read. It holds
no pixels, whether of pictures (page/pixels.py) or of masks: many visits are in memory at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

from PIL import Image

from page.stage import View
from page.turns import Before, Turn, within_bounds
from segzero.contract import STOPPED, Event, Finished, Located, Result, Segmented, Thinking
from segzero.pictures import from_json, headline, plural, to_json

Message = dict[str, Any]

MAX_TURNS = 100  # questions in one conversation
MAX_UNDONE = 30  # corrections that can be taken back

TONES = {"ok": "good", "no_target": "empty", "unreadable": "bad"}


@dataclass(eq=False)
class Visit:
    """What one visitor has asked and sees.

    source: the file of the picture; empty before the first question.
    chat: the messages so far; view: what the stage shows; record: the result it is of, as JSON, once that is
    there.
    turns: all questions so far; at: which of them the stage shows. done: corrections that can be taken back.
    cancel: ends the answer when set; answering: whether one is being given.
    """

    source: str = ""
    question: str = ""
    chat: list[Message] = field(default_factory=list)
    view: View | None = None
    record: dict[str, Any] | None = None
    turns: list[Turn] = field(default_factory=list)
    at: int = -1
    done: list[Before] = field(default_factory=list)
    cancel: threading.Event | None = None
    answering: bool = False

    @property
    def busy(self) -> bool:
        return self.view is not None and self.view.state == "busy"

    @property
    def result(self) -> Result | None:
        """What the stage shows, without its picture."""
        return from_json(self.record) if self.record else None

    def ask(self, source: str, question: str, image: Image.Image, cache: str) -> None:
        """Begin a turn about the picture `image` of file `source`."""
        self._put_away()
        if source != self.source:
            self.source, self.view = source, None
        view = self.view.cleared().kept(image, cache) if self.view else View.of(image, cache)
        self.question, self.record, self.done, self.cancel = question, None, [], threading.Event()
        self.turns = [*self.turns, Turn(len(self.chat), source, question)]
        self.at = len(self.turns) - 1
        self.view = replace(view.saying("Waiting for the model…"), number=self.at + 1, count=self.at + 1)
        self.chat = [*self.chat, _says("user", question)]

    def follow(self, events: Iterable[Event]) -> Iterator[bool]:
        """Let each event change chat and view; yields after each whether the change is one to show at once.

        Closed early, it leaves things as they were at the last event.
        """
        self.answering = True
        try:
            yield from self._follow(events)
        finally:
            self.answering = False

    def _follow(self, events: Iterable[Event]) -> Iterator[bool]:
        before, started, pondered = self.chat, time.monotonic(), None
        text = ""
        self.chat, self.view = [*before, _thought("")], self.view.saying("Looking…")
        yield True
        for event in events:
            match event:
                case Thinking():
                    first, text = not text, event.text
                    self.view = self.view.saying("Thinking…")
                case Located():
                    pondered = pondered or time.monotonic() - started
                    self.view = self.view.with_target(event.index, event.target).saying("Locating…")
                case Segmented():
                    view = self.view.with_object(event.index, event.target, event.mask, event.score)
                    self.view = view.saying(f"{plural(event.index + 1, 'object')} so far…")
                case Finished():
                    pondered = pondered or time.monotonic() - started
                    self._finish([*before, _thought(event.result.thinking, pondered)], event.result)
                    yield True
                    return
            self.chat = [*before, _thought(text, pondered)]
            yield first if isinstance(event, Thinking) else True

    def stop(self, why: str = "Stopped.") -> None:
        """End a turn that has not finished; what it has shown so far stays."""
        if not self.busy:
            return
        self.view = self.view.saying(why, "done", "bad")
        *earlier, last = self.chat
        if "metadata" in last:  # a thought breaks off: no spinner any more
            self.chat = [*earlier, {**last, "metadata": {"title": last["metadata"]["title"]}}]
        self.chat = [*self.chat, _says("assistant", why)]

    def correct(self, result: Result, index: int) -> None:
        """Show the result that a correction of object `index` has led to."""
        if self.record is None:  # another question was asked meanwhile
            return
        self.done = [*self.done, Before.of(self.record, index)][-MAX_UNDONE:]
        self.record = to_json(result)
        self._change(result, index, f"Object {index + 1} corrected in {result.seconds['refine']:.2f} s")

    def undo(self) -> None:
        """Take the last correction back."""
        if not self.done or self.record is None:
            return
        *self.done, last = self.done
        self.record = last.restored(self.record)
        self._change(self.result, last.index, f"Object {last.index + 1} as it was before")

    def tell(self, status: str, tone: str = "good") -> None:
        """Put a word on the stage, after an answer."""
        if self.view is not None and not self.busy:
            self.view = self.view.saying(status, "done", tone)

    def recall(self, number: int, image: Image.Image, cache: str) -> None:
        """Show the answer to question `number` (from 0) about the picture `image` again.

        It can be corrected and asked about further. Raises IndexError when there is none, or none any more.
        """
        if not 0 <= number < len(self.turns) or self.turns[number].view is None:
            raise IndexError(f"There is no answer {number}.")
        self._put_away()
        turn = self.turns[number]
        self.source, self.record, self.done = turn.source, turn.record, []
        self.question, self.at = turn.question, number
        view = turn.view.kept(image, cache)
        self.view = replace(view, count=len(self.turns), undoable=False)

    def turn_at(self, message: int) -> int:
        """Which question the message `message` of the chat belongs to, from 0."""
        return sum(turn.start <= message for turn in self.turns) - 1

    def leave(self) -> Visit:
        """A visit without a picture that remembers the conversation."""
        self.stop()
        self._put_away()
        return Visit(chat=self.chat, turns=self.turns)

    def _put_away(self) -> None:
        """Keep what the stage shows with its question, as it is now."""
        if self.at >= 0 and self.view is not None:
            turns = list(self.turns)
            turns[self.at] = turns[self.at].put_away(self.view, self.record)
            self.turns = within_bounds(turns, self.at)

    def _change(self, result: Result, index: int, status: str) -> None:
        of_object = (result.targets[index], result.masks[index], result.scores[index])
        view = self.view.with_object(index, *of_object, clicks=result.clicks.get(index, ()))
        self.view = replace(view.saying(status, "done"), undoable=bool(self.done), inspection=None)

    def _finish(self, chat: list[Message], result: Result) -> None:
        self.record = to_json(result)
        stopped = result.problem == STOPPED
        found = headline(result)
        if stopped:
            found = f"Stopped · {found}" if result.targets else "Stopped"
        view = self.view.saying(found, "done", "empty" if stopped else TONES[result.status])
        self.view = replace(view, answered=True)
        words = f"{found} · {result.seconds['total']:.1f} s · {plural(result.tokens, 'token')}"
        notes = [_says("assistant", result.problem)] if result.problem and not stopped else []
        self.chat = [*chat, _says("assistant", words), *notes, _raw(result, stopped)]


def _says(role: str, text: str) -> Message:
    """A message that shows the text as it is: the chat takes what it gets for HTML, Markdown or not."""
    return {"role": role, "content": escape(text, quote=False)}


def _thought(text: str, seconds: float | None = None) -> Message:
    """The chain of thought: with a spinner while it is being written, then with how long it took."""
    state = {"status": "pending"} if seconds is None else {"duration": round(seconds, 1)}
    return {**_says("assistant", text), "metadata": {"title": "Reasoning", **state}}


def _raw(result: Result, stopped: bool) -> Message:
    """Every character the model wrote: folded, or open when that is all there is."""
    is_all = result.status == "unreadable" and not stopped
    state = {} if is_all else {"status": "done"}  # without a status it stays open
    return {**_says("assistant", result.raw), "metadata": {"title": "Raw answer", **state}}
