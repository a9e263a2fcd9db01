"""Where a picture is dropped: gr.Image, but the file goes to load_picture (segzero.pictures) as it came.

gr.Image opens the file itself before any of our code runs, and a bad one ends in an error without words.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from page.uploads import Uploads


class PictureInput(gr.Image):
    """Hands its listeners the path of a file in `uploads`, None while there is none, "" for any other path.

    pictures: the uploads.
    """

    is_template = True  # shown by gr.Image's own front end

    def __init__(self, uploads: Uploads, **options: Any) -> None:
        self.pictures = uploads
        super().__init__(**options)

    def get_config(self, cls: type | None = None) -> dict[str, Any]:
        """What the browser is told: the settings of gr.Image, found by its constructor's parameters."""
        return super().get_config(gr.Image)

    def preprocess(self, payload: Any) -> str | None:
        if payload is None:
            return None
        path = getattr(payload, "path", None)
        return path if isinstance(path, str) and self.pictures.knows(path) else ""
