"""The stage: a picture with its masks painted on a canvas over it, by the browser, as pixels.

    stage = Stage(elem_id="stage")
    ... yield View.of(image, stage.GRADIO_CACHE).with_object(0, target, mask, score)

The component's markup, style and scripts are in assets/page/stage*. The markup is static: gr.HTML evaluates
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

from segzero.contract import Point, Target
from segzero.pictures import color_of

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "page"
MAX_SIDE_PX = 1600  # of the copy that the page shows; masks travel at the same size
SCRIPTS = (  # one function body in the browser, so each sees what stands before it
    "stage_state.js",
    "stage_masks.js",
    "stage_draw.js",
    "stage_pointer.js",
    "stage_controls.js",
    "stage_inspector.js",
    "stage.js",
)

Click = tuple[Point, bool]  # as in segzero.contract.result.Result.clicks


@dataclass(frozen=True)
class Shown:
    """One object as the browser draws it. Box and points are in pixels of the original picture."""

    number: int  # from 1
    color: str
    box: tuple[float, float, float, float]
    points: tuple[tuple[float, float], ...]
    mask: str = ""  # a one-bit PNG as a data: URI, of the shown copy's size; "" until it is segmented
    score: float | None = None
    clicks: tuple[tuple[float, float, bool], ...] = ()  # corrections: x, y, and whether to add or to remove
    label: str = ""  # what the answer calls it


@dataclass(frozen=True)
class View:
    """What the stage shows: a picture, the objects found in it so far, and a word on how far things are.

    tone: whether the status tells of something found, of nothing found, or of trouble.
    number, count: which answer of how many this is, from 1. answered: there is a result behind it.
    undoable: there is a correction to take back.
    inspection: of page.inspector.inspect, while somebody looks at it.
    """

    path: str  # the reduced copy, in Gradio's cache
    wh: tuple[int, int]  # of the original picture
    shown_wh: tuple[int, int]  # of the reduced copy
    state: Literal["busy", "done"] = "busy"
    status: str = ""
    tone: Literal["good", "empty", "bad"] = "good"
    objects: tuple[Shown, ...] = ()
    number: int = 1
    count: int = 1
    answered: bool = False
    undoable: bool = False
    inspection: dict[str, Any] | None = None

    @classmethod
    def of(cls, image: Image.Image, cache: str, status: str = "") -> View:
        """A view of the upright RGB picture, no objects yet; its reduced copy is written below `cache`."""
        copy = image.copy()
        copy.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
        buffer = io.BytesIO()
        copy.save(buffer, "JPEG", quality=92, subsampling=0)
        path = save_bytes_to_cache(buffer.getvalue(), "picture.jpg", cache_dir=cache)
        return cls(path, image.size, copy.size, status=status)

    def kept(self, image: Image.Image, cache: str) -> View:
        """The same; the copy of its picture is written again if it was swept away (page/uploads.py)."""
        return self if Path(self.path).exists() else replace(self, path=View.of(image, cache).path)

    def with_target(self, index: int, target: Target) -> View:
        """The same with object `index` (from 0) located but not yet segmented."""
        shown = Shown(index + 1, color_of(index), target.box_xyxy, target.points_xy, label=target.label)
        return self._with(index, shown)

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
            label=target.label,
        )
        return self._with(index, shown)

    def saying(self, status: str, state: str = "busy", tone: str = "good") -> View:
        return replace(self, status=status, state=state, tone=tone)

    def cleared(self) -> View:
        """The same picture with nothing on it."""
        return View(self.path, self.wh, self.shown_wh)

    def _with(self, index: int, shown: Shown) -> View:
        return replace(self, objects=self.objects[:index] + (shown,) + self.objects[index + 1 :])


def mask_uri(mask: np.ndarray, wh: tuple[int, int]) -> str:
    """mask (H, W) bool -> a data: URI of a one-bit PNG, resized to `wh` by picking pixels; a few kB."""
    columns, rows = (_picked(had, wanted) for had, wanted in zip(mask.shape[::-1], wh, strict=True))
    picture = Image.fromarray(mask[rows[:, None], columns].astype(bool))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _picked(had: int, wanted: int) -> np.ndarray:
    """(wanted,) indices of the pixels that lie at the centres of `wanted` equal parts of `had` pixels."""
    return ((np.arange(wanted) + 0.5) * had / wanted).astype(int)


class Stage(gr.HTML):
    """Shows a View; `saves` says whether corrections can be kept.

    The browser triggers, with numbers from 1 and places in pixels of the original picture:
    another: the visitor wants a different picture; undo, save: of corrections
    correct: an object's "number", and its new "box" or a point "x", "y" to "add" or else to remove
    recall: the "number" of an earlier answer; inspect: an object's "number"; take: the visitor wants it all
    """

    def __init__(self, *, saves: bool = False, **options: Any) -> None:
        super().__init__(
            html_template=(ASSETS / "stage.html").read_text("utf-8"),
            css_template=(ASSETS / "stage.css").read_text("utf-8"),
            js_on_load="\n".join((ASSETS / name).read_text("utf-8") for name in SCRIPTS),
            apply_default_css=False,
            saves=saves,
            **options,
        )

    def postprocess(self, value: View | None) -> dict[str, Any] | None:
        if value is None:
            return None
        picture = {"path": value.path, "meta": {"_type": "gradio.FileData"}}
        return {**asdict(value), "picture": picture}

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}
