"""One visitor's conversation: what the pipeline's events do to the chat and to the stage.

    visit.ask("photo.jpg", "What keeps the rain off?", cache)
    for _ in visit.follow(pipeline.stream(visit.image, visit.question)):
        show(visit.chat, visit.view)

A Visit lives on the server, in gr.State. What the browser sends back of chat or stage is never read.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any

from PIL import Image

from page.stage import View
from segzero.picture import load_picture
from segzero.report import count, headline, summary
from segzero.result import Event, Finished, Located, Result, Segmented, Thinking

Message = dict[str, Any]


@dataclass(eq=False)
class Visit:
    """What one visitor has asked and sees.

    source: the file of the picture; image: the picture, upright RGB; both empty before the first question.
    chat: the messages so far; view: what the stage shows; result: of the last question, once it is there.
    """

    source: str = ""
    image: Image.Image | None = None
    question: str = ""
    chat: list[Message] = field(default_factory=list)
    view: View | None = None
    result: Result | None = None

    def ask(self, source: str, question: str, cache: str) -> None:
        """Begin a turn about the picture in file `source`. Raises PictureError."""
        if source != self.source:  # a picture asked about again stays the same object, embedded already
            self.image, self.source = load_picture(source), source
        self.question, self.result = question, None
        self.view = View.of(self.image, cache, status="Waiting for the model…")
        self.chat = [*self.chat, _says("user", question)]

    def follow(self, events: Iterable[Event]) -> Iterator[bool]:
        """Let each event change chat and view; yields after each whether the change is one to show at once.

        Closed early, it leaves things as they were at the last event.
        """
        before, started, pondered = self.chat, time.monotonic(), None
        text = ""
        self.chat, self.view = [*before, _thought("")], self.view.saying("Looking…")
        yield True
        for event in events:
            match event:
                case Thinking():
                    text = event.text
                    self.view = self.view.saying("Thinking…")
                case Located():
                    pondered = pondered or time.monotonic() - started
                    self.view = self.view.with_target(event.index, event.target).saying("Locating…")
                case Segmented():
                    view = self.view.with_object(event.index, event.target, event.mask, event.score)
                    self.view = view.saying(f"{count(event.index + 1, 'object')} so far…")
                case Finished():
                    pondered = pondered or time.monotonic() - started
                    self._finish([*before, _thought(event.result.thinking, pondered)], event.result)
                    yield True
                    return
            self.chat = [*before, _thought(text, pondered)]
            yield not isinstance(event, Thinking)

    def correct(self, result: Result, index: int) -> None:
        """Show the result that a correction of object `index` has led to."""
        self.result = result
        of_object = (result.targets[index], result.masks[index], result.scores[index])
        view = self.view.with_object(index, *of_object, clicks=result.clicks[index])
        self.view = view.saying(f"Object {index + 1} corrected", state="done")

    def stop(self, why: str = "Stopped.") -> None:
        """End a turn that has not finished; what it has shown so far stays."""
        if self.view is None or self.view.state == "done":
            return
        self.view = self.view.saying(why, state="done")
        *earlier, last = self.chat
        if "metadata" in last:  # a thought breaks off: no spinner any more
            self.chat = [*earlier, {**last, "metadata": {"title": last["metadata"]["title"]}}]
        self.chat = [*self.chat, _says("assistant", why)]

    def _finish(self, chat: list[Message], result: Result) -> None:
        self.result = result
        self.view = self.view.saying(headline(result), state="done")
        notes = [_says("assistant", result.problem)] if result.problem else []
        self.chat = [*chat, _says("assistant", summary(result)), *notes, _raw(result)]


def _says(role: str, text: str) -> Message:
    """A message that shows the text as it is: the chat takes what it gets for HTML, Markdown or not."""
    return {"role": role, "content": escape(text, quote=False)}


def _thought(text: str, seconds: float | None = None) -> Message:
    """The chain of thought: with a spinner while it is being written, then with how long it took."""
    state = {"status": "pending"} if seconds is None else {"duration": round(seconds, 1)}
    return {**_says("assistant", text), "metadata": {"title": "Reasoning", **state}}


def _raw(result: Result) -> Message:
    """Every character the model wrote: folded, or open when that is all there is."""
    state = {} if result.status == "unreadable" else {"status": "done"}  # without a status it stays open
    return {**_says("assistant", result.raw), "metadata": {"title": "Raw answer", **state}}
