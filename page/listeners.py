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
from page.downloads import take
from page.examples import Example
from page.inspector import inspect
from page.pixels import Pixels
from page.stage import View
from page.visit import MAX_TURNS, Visit
from segzero.contract import QuestionError, Result, check_question
from segzero.hub import ModelError
from segzero.pictures import PictureError, from_json, plural
from segzero.pipeline import Pipeline

log = logging.getLogger(__name__)

UPDATES_PER_SECOND = 12  # as smooth as it needs to look; the words in between arrive together
PATIENCE_S = 0.4  # an answer has this long to end by itself after Stop
MAX_PX = 1e6  # no place in a picture is farther out
GONE = "That picture is not among this page's uploads, or no longer. Add it again."
FORGOTTEN = "That answer is gone: a picture is kept for an hour, and the oldest answers give way to new ones."
FAULT = "Something went wrong here. The server's log says what."
ASKING = {"submit_btn": "Ask", "stop_btn": False}
ANSWERING = {"value": "", "submit_btn": False, "stop_btn": "Stop"}


class Listeners:
    """pipeline: who answers; examples: in the order of their cards; cache: folder of the stage's pictures.

    pixels: of all visitors. corrections: where they are kept; None when nobody may write to the server's
    disk.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        examples: list[Example],
        cache: str,
        pixels: Pixels,
        corrections: Corrections | None = None,
    ) -> None:
        self._pipeline, self._examples, self._cache = pipeline, examples, cache
        self._pixels, self._corrections = pixels, corrections

    def check(self, source: str | None, question: str, visit: Visit) -> list[dict[str, Any]]:
        """Before anything waits in the queue: what is wrong with the picture, and with the question."""
        picture, asked = self._problems(source, question, visit)
        return [_verdict(picture), _verdict(asked), gr.validate(True, "")]

    def begin(self, source: str | None, question: str, visit: Visit) -> tuple:
        """-> Widgets.all: the picture gives way to the stage, Send to Stop."""
        if problem := next(filter(None, self._problems(source, question, visit)), ""):
            raise gr.Error(problem, print_exception=False)  # it came past `check`, or the picture went since
        source = visit.source or source
        visit.ask(source, check_question(question), self._pixels.load(source), self._cache)
        return self._staged(visit, ANSWERING)

    def answer(self, visit: Visit) -> Iterator[tuple]:
        """-> chat, stage, again and again while the model answers what `begin` has begun."""
        cancel = visit.cancel
        if cancel is None or visit.answering or not visit.busy:
            return
        try:
            image = self._pixels.load(visit.source)
            events = self._pipeline.stream(image, visit.question, cancel=cancel)
            for _ in paced(visit.follow(events)):
                yield visit.chat, visit.view
        except (ModelError, PictureError) as error:
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
        if visit.record is None:
            return visit.view
        try:
            result = self._result(visit)
            index, change = _correction(wish, result)
            visit.correct(self._pipeline.refine(result, index, **change), index)
        except (ValueError, ModelError) as error:  # PictureError is a ValueError
            visit.tell(str(error), "bad")
        return visit.view

    def undo(self, visit: Visit) -> View | None:
        """-> stage, as it was before the last correction."""
        visit.undo()
        return visit.view

    def save(self, visit: Visit) -> View | None:
        """-> stage, after its masks were kept as training data."""
        if self._corrections is None or visit.record is None:
            return visit.view
        try:
            kept = self._corrections.add(self._result(visit), visit.source)
            visit.tell(f"Saved: {plural(kept, 'question')} in {self._corrections.folder}")
        except (ValueError, OSError) as error:
            visit.tell(f"Not saved: {error}", "bad")
        return visit.view

    def take(self, visit: Visit) -> Iterator[tuple]:
        """-> stage, download."""
        yield from take(visit, self._result)

    def inspect(self, wish: gr.EventData, visit: Visit) -> View | None:
        """-> stage, with what is behind the answer."""
        number = _whole(wish, "number")
        if visit.record is None or number is None:
            return visit.view
        try:
            found = inspect(self._pipeline, self._result(visit), number - 1)
            visit.view = replace(visit.view, inspection=found)
        except (ModelError, PictureError) as error:
            visit.tell(str(error), "bad")
        return visit.view

    def recall(self, wish: gr.EventData, visit: Visit) -> tuple:
        """-> Widgets.all: the answer whose number was asked for."""
        number = _whole(wish, "number")
        return self._recall(visit, None if number is None else number - 1)

    def pick(self, chosen: gr.EventData, visit: Visit) -> tuple:
        """-> Widgets.all: the answer whose message was clicked in the conversation."""
        index = _whole(chosen, "index")
        return self._recall(visit, None if index is None else visit.turn_at(index))

    def example(self, chosen: gr.EventData) -> tuple:
        """-> picture, question of the card that was clicked; nothing new for what is no card."""
        index = _whole(chosen, "index")
        if index is None or index >= len(self._examples):
            return gr.skip(), gr.skip()
        example = self._examples[index]
        return str(example.picture), example.question

    def another(self, visit: Visit) -> tuple:
        """-> Widgets.all: ready for another picture, the conversation stays."""
        return self._ready(visit.leave())

    def clear(self) -> tuple:
        """-> Widgets.all: as if the visitor had just come."""
        return self._ready(Visit())

    def _result(self, visit: Visit) -> Result:
        """What the stage shows, about its picture, so that it can be corrected. Raises PictureError."""
        return from_json(visit.record, self._pixels.load(visit.source))

    def _problems(self, source: str | None, question: str, visit: Visit) -> tuple[str, str]:
        """What is wrong with the picture, and with the question; no picture is decoded for a bad question."""
        asked = _question_problem(question, visit)
        if not visit.source and not source:
            return ("Add a picture first." if source is None else GONE), asked
        if asked:
            return "", asked
        try:
            self._pixels.load(visit.source or source)
        except PictureError as error:  # the picture's own field is hidden while the stage shows it
            return ("", GONE) if visit.source else (str(error), "")
        return "", ""

    def _recall(self, visit: Visit, number: int | None) -> tuple:
        if visit.busy or number is None or number == visit.at:
            return (visit, *[gr.skip()] * 5)
        try:
            if not 0 <= number < len(visit.turns):
                raise IndexError(number)
            visit.recall(number, self._pixels.load(visit.turns[number].source), self._cache)
        except (IndexError, PictureError):
            gr.Warning(FORGOTTEN)
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


def _question_problem(question: str, visit: Visit) -> str:
    if visit.busy:
        return "An answer is under way. Wait for it, or stop it."
    if len(visit.turns) >= MAX_TURNS:
        return f"A conversation has at most {MAX_TURNS} questions. Clear it to go on."
    try:
        check_question(question)
    except QuestionError as error:
        return str(error)
    return ""


def _told(wish: gr.EventData) -> dict[str, Any]:
    """What the browser, or whoever speaks in its place, says of an event: anything."""
    return wish._data if isinstance(wish._data, dict) else {}


def _whole(wish: gr.EventData, name: str) -> int | None:
    """A whole number, 0 or more, that an event tells; None when it tells none."""
    value = _told(wish).get(name)
    return value if type(value) is int and 0 <= value < MAX_PX else None


def _correction(wish: gr.EventData, result: Result) -> tuple[int, dict[str, Any]]:
    """The object's index, and what Pipeline.refine shall change. Raises ValueError for anything else."""
    told, number = _told(wish), _whole(wish, "number")
    if not number or number > len(result.targets):
        raise ValueError("There is no such object.")
    box, places = told.get("box"), [told.get("x"), told.get("y")]
    if isinstance(box, list) and len(box) == 4 and all(map(_is_place, box)):
        return number - 1, {"box": tuple(map(float, box))}
    if box is None and all(map(_is_place, places)):
        return number - 1, {"add" if told.get("add") is True else "remove": [tuple(map(float, places))]}
    raise ValueError("That is no place in the picture.")


def _is_place(value: object) -> bool:
    return type(value) in (int, float) and abs(value) < MAX_PX  # NaN is not less than anything


def _verdict(problem: str) -> dict[str, Any]:
    return gr.validate(not problem, problem)
