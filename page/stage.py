"""The stage: a picture with its masks painted on a canvas over it, by the browser, as pixels.

    stage = Stage(elem_id="stage")
    ... yield View.of(image, stage.GRADIO_CACHE).with_object(0, target, mask, score)

The component's markup, style and script are in assets/page/stage.*. The markup is static: gr.HTML evaluates
templates, so text that a person or a model wrote only ever reaches the page as a node's textContent.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import gradio as gr
import numpy as np
from gradio.processing_utils import save_bytes_to_cache
from PIL import Image

from segzero.draw import color_of
from segzero.geometry import Point, Target

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "page"
MAX_SIDE_PX = 1600  # of the copy that the page shows; masks travel at the same size


Click = tuple[Point, bool]  # as in segzero.result.Result.clicks


@dataclass(frozen=True)
class Shown:
    """One object as the browser draws it. Box and points are in pixels of the original picture."""

    number: int  # from 1
    color: str
    box: tuple[float, float, float, float]
    points: tuple[tuple[float, float], ...]
    mask: str = (
        ""  # a PNG of one bit a pixel as a data: URI, of the shown copy's size; "" until it is segmented
    )
    score: float | None = None
    clicks: tuple[tuple[float, float, bool], ...] = ()  # corrections: x, y, and whether to add or to remove


@dataclass(frozen=True)
class View:
    """What the stage shows: a picture, the objects found in it so far, and a word on how far things are."""

    path: str  # the reduced copy, in Gradio's cache
    wh: tuple[int, int]  # of the original picture
    shown_wh: tuple[int, int]  # of the reduced copy
    state: Literal["busy", "done"] = "busy"
    status: str = ""
    objects: tuple[Shown, ...] = ()

    @classmethod
    def of(cls, image: Image.Image, cache: str, status: str = "") -> View:
        """A view of the upright RGB picture, no objects yet; its reduced copy is written below `cache`."""
        copy = image.copy()
        copy.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
        buffer = io.BytesIO()
        copy.save(buffer, "JPEG", quality=92, subsampling=0)
        path = save_bytes_to_cache(buffer.getvalue(), "picture.jpg", cache_dir=cache)
        return cls(path, image.size, copy.size, status=status)

    def with_target(self, index: int, target: Target) -> View:
        """The same with object `index` (from 0) located but not yet segmented."""
        return self._with(index, Shown(index + 1, color_of(index), target.box_xyxy, target.points_xy))

    def with_object(
        self, index: int, target: Target, mask: np.ndarray, score: float, clicks: Sequence[Click] = ()
    ) -> View:
        """The same with object `index` (from 0) and its mask, (H, W) bool of the original picture."""
        shown = Shown(
            index + 1,
            color_of(index),
            target.box_xyxy,
            target.points_xy,
            mask=mask_uri(mask, self.shown_wh),
            score=round(float(score), 3),
            clicks=tuple((x, y, add) for (x, y), add in clicks),
        )
        return self._with(index, shown)

    def saying(self, status: str, state: Literal["busy", "done"] = "busy") -> View:
        return replace(self, status=status, state=state)

    def _with(self, index: int, shown: Shown) -> View:
        return replace(self, objects=self.objects[:index] + (shown,) + self.objects[index + 1 :])


def mask_uri(mask: np.ndarray, wh: tuple[int, int]) -> str:
    """mask (H, W) bool -> a data: URI of a one-bit PNG, resized to `wh`; a few kB."""
    picture = Image.fromarray(mask.astype(bool))
    if picture.size != wh:
        picture = picture.resize(wh, Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


class Stage(gr.HTML):
    """Shows a View.

    The browser can trigger `another`: the visitor wants a different picture; and `correct`, with the object's
    "number" from 1, "x" and "y" in pixels of the original picture, and whether to "add" or to remove.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            html_template=(ASSETS / "stage.html").read_text("utf-8"),
            css_template=(ASSETS / "stage.css").read_text("utf-8"),
            js_on_load=(ASSETS / "stage.js").read_text("utf-8"),
            apply_default_css=False,
            **options,
        )

    def postprocess(self, value: View | None) -> dict[str, Any] | None:
        if value is None:
            return None
        picture = {"path": value.path, "meta": {"_type": "gradio.FileData"}}
        return {**asdict(value), "picture": picture}

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}
