"""The page's answers for programs: gradio_client, plain HTTP and MCP; docs/api.md shows how each is called.

with gr.Blocks() as page:
    add_endpoints(page, Api(pipeline, pixels, uploads))
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from page.pixels import Pixels
from page.uploads import Uploads
from segzero.contract import (
    Event,
    Finished,
    Located,
    QuestionError,
    Segmented,
    Target,
    Thinking,
    check_question,
)
from segzero.hub import ModelError
from segzero.pictures import PictureError, to_json
from segzero.pipeline import Pipeline

log = logging.getLogger(__name__)

MAX_UPLOAD_BYTES = 20_000_000
SLOT = {"concurrency_id": "model", "concurrency_limit": 1}
"""The one place at the model: whatever asks it, page or program, waits in the same queue."""
UPDATES_PER_SECOND = 12
PARAMETERS = ("image", "question")
"""Of both endpoints."""
FILE = {"_type": "gradio.FileData"}


class Api:
    """pipeline: who answers; pixels, uploads: of all visitors. It remembers nothing between two calls."""

    def __init__(self, pipeline: Pipeline, pixels: Pixels, uploads: Uploads) -> None:
        self._pipeline, self._pixels, self._uploads = pipeline, pixels, uploads

    def check(self, image: dict, question: str) -> list[dict[str, Any]]:
        """Before a call waits in the queue: what is wrong with picture and question. To HTTP, status 422.

        The picture is not decoded for a question that is refused.
        """
        asked = _verdict(lambda: check_question(question))
        seen = _verdict(lambda: self._picture(image)) if asked["is_valid"] else gr.validate(True, "")
        return [seen, asked]

    def segment(self, image: gr.FileData, question: str) -> Iterator[dict]:
        """Find what a question about a picture means; yields what is known so far, at last everything."""
        try:
            events = self._pipeline.stream(self._picture(image), question)
            with closing(events):  # a caller who cancels stops the model
                yield from states(events)
        except (ModelError, PictureError, QuestionError) as error:
            raise gr.Error(str(error), print_exception=False) from error
        except Exception as error:  # the caller reads one line, the log holds it all
            log.exception("No answer to a program")
            raise gr.Error(
                "Something went wrong. The server's log says what.", print_exception=False
            ) from error

    def segment_picture(self, image: gr.FileData, question: str) -> str:
        """Find the objects in a picture that a question is about, by reasoning, and outline them exactly.

        Args:
            image: the picture.
            question: what to find, such as "what could keep me dry?"; at most 2,000 characters.

        Returns:
            JSON with status, thinking, and of each target box_xyxy, score and mask (COCO run lengths).
        """
        *_, last = self.segment(image, question)
        return json.dumps(last, ensure_ascii=False)

    def _picture(self, image: object) -> Image.Image:
        return self._pixels.load(uploaded(image, self._uploads))

    segment._mcp_type = "stream"  # no tool: what MCP hands on is text, so it has a tool of its own


def add_endpoints(page: gr.Blocks, api: Api) -> None:
    """Add /segment and the MCP tool to the page, which is being laid out."""
    for call in (api.segment, api.segment_picture):
        endpoint = gr.api(call, **SLOT)
        page.fns[endpoint["id"]].validator = api.check  # gr.api has no parameter for it


def why_no_mcp(auth: object) -> str:
    """Why the MCP tool cannot be served, "" when it can: Gradio goes on without it and says nothing."""
    if auth:
        return "its tool has no way to log in"
    return "" if find_spec("mcp") else "install gradio[mcp] for it"


def states(events: Iterable[Event]) -> Iterator[dict[str, Any]]:
    """What is known after each event, in values that json.dumps takes; the last as
    segzero.pictures.export.to_json.

    Words come no more often than UPDATES_PER_SECOND, objects at once. Masks are in the last one only.
    """
    status, thinking, targets, last = "reading", "", {}, time.monotonic()
    yield {"status": status, "thinking": thinking, "targets": []}
    for event in events:
        match event:
            case Thinking():
                status, thinking = "thinking", event.text
                if time.monotonic() - last < 1 / UPDATES_PER_SECOND:
                    continue
            case Located():
                status, targets[event.index] = "locating", _target(event.target)
            case Segmented():
                targets[event.index] = {**_target(event.target), "score": round(event.score, 4)}
            case Finished():
                yield to_json(event.result)
                return
        last = time.monotonic()
        yield {"status": status, "thinking": thinking, "targets": list(targets.values())}


def picture_of(image: object) -> dict[str, Any] | None:
    """What names a file, with nothing else in it; None for anything that is no such thing."""
    if isinstance(image, dict) and isinstance(image.get("path"), str) and image.get("meta") == FILE:
        return {"path": image["path"], "meta": FILE}
    return None


def uploaded(image: object, uploads: Uploads) -> str:
    """The path of an uploaded file. Raises PictureError for anything else, and for a file that is too large.

    Gradio has made sure of the path only where the value says that it is a file: a bare path, were it taken,
    would name any file of the server's. And all below its folder is an upload to Gradio.
    """
    if picture_of(image) is None or not uploads.keeps(image["path"]):
        raise PictureError('upload a file, then send {"path": …, "meta": {"_type": "gradio.FileData"}}')
    path = Path(image["path"])
    if path.stat().st_size > MAX_UPLOAD_BYTES:
        raise PictureError(
            f"{path.name}: more than {MAX_UPLOAD_BYTES // 1_000_000} MB; make it smaller and try again"
        )
    return str(path)


def _verdict(look: Callable[[], object]) -> dict[str, Any]:
    try:
        look()
    except (PictureError, QuestionError) as error:
        return gr.validate(False, str(error))
    return gr.validate(True, "")


def _target(target: Target) -> dict[str, Any]:
    points = [list(point) for point in target.points_xy]
    return {"label": target.label, "box_xyxy": list(target.box_xyxy), "points_xy": points}
