"""The pipeline on a ZeroGPU Space, which lends a GPU for a question at a time, to a forked process.

    import spaces
    pipeline = Borrowing(segzero.load("visionreasoner-7b"), lend=spaces.GPU(duration=60))

What goes to the process and comes back is pickled, so masks travel as run lengths. docs/deploy.md says what
of this was tested off a Space, and how.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from segzero.contract import Event, Finished, Result, Segmented, check_question
from segzero.hub import ModelError
from segzero.pictures import decode_rle, encode_mask, from_json, load_picture, to_json
from segzero.pipeline import Picture, Pipeline


class Borrowing:
    """A Pipeline's face: preset, stream, refine and candidates, as segzero.pipeline.Pipeline has them.

    lend: makes of a function, or of a generator function, one that runs where the GPU is.
    What goes wrong there is raised here as ModelError: a quota that is used up, say, in the Space's words.
    """

    def __init__(self, pipeline: Pipeline, lend: Callable[[Callable], Callable]) -> None:
        self.preset = pipeline.preset

        def stream(picture: Image.Image, question: str) -> Iterator[Any]:
            with _told_as_gradio():
                for event in pipeline.stream(picture, question):
                    yield _packed(event)

        def refine(picture: Image.Image, record: dict, index: int, change: dict) -> dict:
            with _told_as_gradio():
                return to_json(pipeline.refine(from_json(record, picture), index, **change))

        def candidates(picture: Image.Image, record: dict, index: int) -> tuple[list[dict], list[float]]:
            with _told_as_gradio():
                masks, scores = pipeline.candidates(from_json(record, picture), index)
            return [encode_mask(mask) for mask in masks], [float(score) for score in scores]

        self._stream, self._refine, self._candidates = lend(stream), lend(refine), lend(candidates)

    def stream(
        self, image: Picture, question: str, *, cancel: threading.Event | None = None
    ) -> Iterator[Event]:
        """As of Pipeline, but once `cancel` is set no result follows."""
        return self._events(load_picture(image), check_question(question), cancel or threading.Event())

    def refine(self, result: Result, index: int, **change: Any) -> Result:
        with _told_as_model():
            record = self._refine(result.picture, to_json(result), index, change)
        return from_json(record, result.picture)

    def candidates(self, result: Result, index: int) -> tuple[np.ndarray, np.ndarray]:
        with _told_as_model():
            masks, scores = self._candidates(result.picture, to_json(result), index)
        return np.stack([decode_rle(mask) for mask in masks]), np.array(scores, np.float32)

    def _events(self, picture: Image.Image, question: str, cancel: threading.Event) -> Iterator[Event]:
        with _told_as_model(), closing(self._stream(picture, question)) as packed:
            for each in packed:
                if cancel.is_set():
                    return
                yield _unpacked(each, picture)


def _packed(event: Event) -> Any:
    """Something small to pickle in an event's place."""
    match event:
        case Segmented():
            return replace(event, mask=encode_mask(event.mask))
        case Finished():
            return to_json(event.result)
    return event


def _unpacked(packed: Any, picture: Image.Image) -> Event:
    match packed:
        case Segmented():
            return replace(packed, mask=decode_rle(packed.mask))
        case dict():
            return Finished(from_json(packed, picture))
    return packed


@contextmanager
def _told_as_gradio() -> Iterator[None]:
    """Of all errors in the process that has the GPU, only gr.Error keeps its words on the way back."""
    try:
        yield
    except (ModelError, ValueError) as error:
        raise gr.Error(str(error), print_exception=False) from error


@contextmanager
def _told_as_model() -> Iterator[None]:
    try:
        yield
    except gr.Error as error:
        raise ModelError(re.sub(r"<[^>]*>", "", error.message)) from error  # some come with links in HTML
