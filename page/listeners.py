"""What happens when the visitor does something. app.py says which widget calls which of these.

None of it remembers anything: a visitor's own things come in and go out as a Visit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import gradio as gr

from page.examples import Example
from page.stage import View
from page.visit import Visit
from segzero.hub import ModelError
from segzero.picture import PictureError, load_picture
from segzero.pipeline import Pipeline, QuestionError, check_question

log = logging.getLogger(__name__)

UPDATES_PER_SECOND = 12  # as smooth as it needs to look; the words in between arrive together
ASKING = {"submit_btn": True, "stop_btn": False}
ANSWERING = {"value": "", "submit_btn": False, "stop_btn": "Stop"}


class Listeners:
    """pipeline: who answers; examples: in the order of their cards; cache: folder of the stage's pictures."""

    def __init__(self, pipeline: Pipeline, examples: list[Example], cache: str) -> None:
        self._pipeline, self._examples, self._cache = pipeline, examples, cache

    def check(self, source: str | None, question: str, visit: Visit) -> list[dict[str, Any]]:
        """Before anything waits in the queue: what is wrong with the picture, and with the question."""
        return [
            _verdict(_picture_problem(source, visit)),
            _verdict(_question_problem(question)),
            gr.validate(True, ""),
        ]

    def begin(self, source: str, question: str, visit: Visit) -> tuple:
        """-> Widgets.all: the picture gives way to the stage, Send to Stop."""
        visit.ask(source, question.strip(), self._cache)
        return (
            visit,
            gr.update(visible=False),
            gr.update(visible=True),
            visit.view,
            visit.chat,
            gr.update(**ANSWERING),
        )

    def answer(self, visit: Visit) -> Iterator[tuple]:
        """-> chat, stage, again and again while the model answers."""
        cancel = threading.Event()
        try:
            events = self._pipeline.stream(visit.image, visit.question, cancel=cancel)
            for _ in paced(visit.follow(events)):
                yield visit.chat, visit.view
        except ModelError as error:
            visit.stop(str(error))
        except Exception:  # whatever it was, the visitor's page goes on, and the server's log has it in full
            log.exception("No answer to a question")
            visit.stop("Something went wrong here. The server's log says what.")
        finally:  # Stop was pressed, or the visitor has gone: the model stops as well
            cancel.set()

    def settle(self, visit: Visit) -> tuple:
        """-> chat, stage, question: after an answer, after Stop and after an error alike."""
        visit.stop()
        return visit.chat, visit.view, gr.update(**ASKING)

    def correct(self, click: gr.EventData, visit: Visit) -> View | None:
        """-> stage, after a click that adds to an object's mask or removes from it."""
        if visit.result is None:
            return visit.view
        point, index = (float(click.x), float(click.y)), int(click.number) - 1
        points = {"add": [point]} if click.add else {"remove": [point]}
        visit.correct(self._pipeline.refine(visit.result, index, **points), index)
        return visit.view

    def example(self, chosen: gr.SelectData) -> tuple[str, str]:
        """-> picture, question of the card that was clicked."""
        example = self._examples[chosen.index]
        return str(example.picture), example.question

    def another(self, visit: Visit) -> tuple:
        """-> Widgets.all: ready for another picture, the conversation stays."""
        visit.stop()
        return self._ready(Visit(chat=visit.chat))

    def clear(self) -> tuple:
        """-> Widgets.all: as if the visitor had just come."""
        return self._ready(Visit())

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
    if not source:
        return "Add a picture first."
    if source == visit.source:
        return ""
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
