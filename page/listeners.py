"""What happens when the visitor does something. app.py says which widget calls which of these.

None of it remembers anything: a visitor's own things come in and go out as a Visit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from page.corrections import Corrections
from page.examples import Example
from page.inspector import inspect
from page.stage import View
from page.visit import Visit
from segzero.contract import QuestionError, check_question
from segzero.hub import ModelError
from segzero.pictures import PictureError, load_picture, plural
from segzero.pipeline import Pipeline

log = logging.getLogger(__name__)

UPDATES_PER_SECOND = 12  # as smooth as it needs to look; the words in between arrive together
PATIENCE_S = 0.4  # an answer has this long to end by itself after Stop
FAULT = "Something went wrong here. The server's log says what."
ASKING = {"submit_btn": "Ask", "stop_btn": False}
ANSWERING = {"value": "", "submit_btn": False, "stop_btn": "Stop"}


class Listeners:
    """pipeline: who answers; examples: in the order of their cards; cache: folder of the stage's pictures.

    corrections: where they are kept; None when nobody may write to the server's disk.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        examples: list[Example],
        cache: str,
        corrections: Corrections | None = None,
    ) -> None:
        self._pipeline, self._examples, self._cache = pipeline, examples, cache
        self._corrections = corrections

    def check(self, source: str | None, question: str, visit: Visit) -> list[dict[str, Any]]:
        """Before anything waits in the queue: what is wrong with the picture, and with the question."""
        return [
            _verdict(_picture_problem(source, visit)),
            _verdict(_question_problem(question)),
            gr.validate(True, ""),
        ]

    def begin(self, source: str | None, question: str, visit: Visit) -> tuple:
        """-> Widgets.all: the picture gives way to the stage, Send to Stop."""
        visit.ask(visit.source or source, question.strip(), self._cache)
        return self._staged(visit, ANSWERING)

    def answer(self, visit: Visit) -> Iterator[tuple]:
        """-> chat, stage, again and again while the model answers."""
        cancel = visit.cancel
        try:
            events = self._pipeline.stream(visit.image, visit.question, cancel=cancel)
            for _ in paced(visit.follow(events)):
                yield visit.chat, visit.view
        except ModelError as error:
            visit.stop(str(error))
        except Exception:  # whatever it was, the visitor's page goes on, and the server's log has it in full
            log.exception("No answer to a question")
            visit.stop(FAULT)
        finally:  # the visitor may have gone: then the model stops as well
            cancel.set()

    def stop(self, visit: Visit) -> None:
        """Let an answer end with what it has. One that has not begun, or hangs, is cancelled after this."""
        if visit.cancel is not None:
            visit.cancel.set()
        until = time.monotonic() + PATIENCE_S
        while visit.answering and time.monotonic() < until:
            time.sleep(0.02)

    def settle(self, visit: Visit) -> tuple:
        """-> chat, stage, question: after an answer, after Stop and after an error alike."""
        visit.stop()
        return visit.chat, visit.view, gr.update(**ASKING)

    def correct(self, wish: gr.EventData, visit: Visit) -> View | None:
        """-> stage, after a click or a new box for an object's mask."""
        if visit.result is None:
            return visit.view
        index, box = int(wish.number) - 1, getattr(wish, "box", None)
        if box is not None:
            change = {"box": tuple(float(value) for value in box)}
        else:
            change = {"add" if wish.add else "remove": [(float(wish.x), float(wish.y))]}
        try:
            visit.correct(self._pipeline.refine(visit.result, index, **change), index)
        except (ValueError, ModelError) as error:
            visit.tell(str(error), "bad")
        return visit.view

    def undo(self, visit: Visit) -> View | None:
        """-> stage, as it was before the last correction."""
        visit.undo()
        return visit.view

    def save(self, visit: Visit) -> View | None:
        """-> stage, after its masks were kept as training data."""
        if self._corrections is None or visit.result is None:
            return visit.view
        try:
            kept = self._corrections.add(visit.result, visit.source)
            visit.tell(f"Saved: {plural(kept, 'question')} in {self._corrections.folder}")
        except (ValueError, OSError) as error:
            visit.tell(f"Not saved: {error}", "bad")
        return visit.view

    def inspect(self, wish: gr.EventData, visit: Visit) -> View | None:
        """-> stage, with what is behind the answer."""
        if visit.result is None:
            return visit.view
        try:
            found = inspect(self._pipeline, visit.result, int(wish.number) - 1)
            visit.view = replace(visit.view, inspection=found)
        except ModelError as error:
            visit.tell(str(error), "bad")
        return visit.view

    def recall(self, wish: gr.EventData, visit: Visit) -> tuple:
        """-> Widgets.all: the answer whose number was asked for."""
        return self._recall(visit, int(wish.number) - 1)

    def pick(self, chosen: gr.SelectData, visit: Visit) -> tuple:
        """-> Widgets.all: the answer whose message was clicked in the conversation."""
        return self._recall(visit, visit.turn_at(chosen.index))

    def example(self, chosen: gr.SelectData) -> tuple[str, str]:
        """-> picture, question of the card that was clicked."""
        example = self._examples[chosen.index]
        return str(example.picture), example.question

    def another(self, visit: Visit) -> tuple:
        """-> Widgets.all: ready for another picture, the conversation stays."""
        return self._ready(visit.leave())

    def clear(self) -> tuple:
        """-> Widgets.all: as if the visitor had just come."""
        return self._ready(Visit())

    def _recall(self, visit: Visit, number: int) -> tuple:
        if visit.busy or number == visit.at:
            return (visit, *[gr.skip()] * 5)
        try:
            visit.recall(number, self._cache)
        except (IndexError, PictureError):
            gr.Warning("That picture is gone: uploads are deleted after an hour.")
            return (visit, *[gr.skip()] * 5)
        return self._staged(visit, ASKING)

    def _staged(self, visit: Visit, question: dict[str, Any]) -> tuple:
        shown = gr.update(visible=True)
        return visit, gr.update(visible=False), shown, visit.view, visit.chat, gr.update(**question)

    def _ready(self, visit: Visit) -> tuple:
        picture = gr.update(visible=True, value=None)
        return visit, picture, gr.update(visible=False), None, visit.chat, gr.update(**ASKING)


def paced(steps: Iterable[object]) -> Iterator[None]:
    """Some of the steps: all that are urgent, and of the others no more than UPDATES_PER_SECOND."""
    last = -1.0
    for urgent in steps:
        now = time.monotonic()
        if urgent or now - last >= 1 / UPDATES_PER_SECOND:
            last = now
            yield


def _picture_problem(source: str | None, visit: Visit) -> str:
    if visit.image is not None:  # on the stage already
        return ""
    if not source:
        return "Add a picture first."
    try:
        load_picture(source)
    except PictureError as error:
        return str(error)
    return ""


def _question_problem(question: str) -> str:
    try:
        check_question(question)
    except QuestionError as error:
        return str(error)
    return ""


def _verdict(problem: str) -> dict[str, Any]:
    return gr.validate(not problem, problem)
