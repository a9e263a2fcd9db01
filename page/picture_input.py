"""Where a picture is dropped: gr.Image, but the file goes to load_picture (segzero.pictures) as it came.

gr.Image opens the file itself before any of our code runs, and a bad one ends in an error without words.
"""

from __future__ import annotations

from typing import Any

import gradio as gr


class PictureInput(gr.Image):
    """Hands its listeners the path of the uploaded file, None while there is none."""

    is_template = True  # shown by gr.Image's own front end

    def preprocess(self, payload: Any) -> str | None:
        return payload.path if payload else None
