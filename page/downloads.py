"""Taking an answer away: one zip of masks, cut-outs, overlay and JSON, made when it is asked for.

download = Download()
yield from take(visit, result_of)           # -> stage, download
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from page.stage import View
from page.visit import Visit
from segzero.contract import Result
from segzero.pictures import PictureError, save_zip, written_whole

# A value that has come from the server is handed to the browser's own downloads, at once.
_SCRIPT = """
watch("value", () => {
  if (!props.value) return;
  const link = document.createElement("a");
  link.href = props.value.file.url;
  link.download = props.value.name;
  document.body.append(link);
  link.click();
  link.remove();
});
"""


@dataclass(frozen=True)
class Parcel:
    """A file for the visitor. path: in Gradio's folder. name: what to save it as. made: when, in seconds."""

    path: str
    name: str
    made: float


class Download(gr.HTML):
    """Shows nothing: whatever Parcel becomes its value is downloaded."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            html_template="<i></i>", js_on_load=_SCRIPT, apply_default_css=False, visible="hidden", **options
        )

    def postprocess(self, value: Parcel | None) -> dict[str, Any] | None:
        if value is None:
            return None
        file = {"path": value.path, "meta": {"_type": "gradio.FileData"}}
        return {"file": file, "name": value.name, "made": value.made}

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


def take(visit: Visit, result_of: Callable[[Visit], Result]) -> Iterator[tuple[View | None, Any]]:
    """-> stage, download: everything about the answer that the stage shows, at the picture's full size.

    result_of: finds it with its picture; raises PictureError.
    """
    if visit.record is None:
        visit.tell("Nothing to take away here", "bad")
        yield visit.view, gr.skip()
        return
    visit.tell("Packing…")
    yield visit.view, gr.skip()
    try:
        result = result_of(visit)
        name = name_of(result.question)
        path = Path(get_upload_folder(), uuid.uuid4().hex, name)
        path.parent.mkdir(parents=True)
        with written_whole(path) as part:
            save_zip(result, part)
    except PictureError as error:
        visit.tell(f"Not packed: {error}", "bad")
        yield visit.view, gr.skip()
        return
    except OSError as error:
        visit.tell(f"The zip cannot be written: {error.strerror or error}", "bad")
        yield visit.view, gr.skip()
        return
    visit.tell(f"Zip of {path.stat().st_size / 1e6:.1f} MB")
    yield visit.view, Parcel(str(path), name, time.time())


def name_of(question: str) -> str:
    """A file name that reminds of the question."""
    words = re.sub(r"[^a-z0-9]+", "-", question.lower())[:40].strip("-")
    return f"{words or 'answer'}.zip"
