"""Stand-ins for the two models in tests: a reasoner that says a text, a segmenter whose masks are the boxes.

result = pipeline(ANSWER).run(picture(), "What keeps me dry?")
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from segzero.contract import MULTI, Frame, Preset, Target
from segzero.pipeline import Pipeline
from segzero.segmenter import Masks

PRESET = Preset(name="test", reasoner="", segmenter="", frame=Frame(frame_px=100), dialect=MULTI)
WH = (200, 50)  # a frame pixel is 2 picture pixels across and half a pixel down
ONE = '{"bbox_2d": [10, 20, 30, 60], "point_2d": [20, 40]}'
TWO = '{"bbox_2d": [50, 0, 100, 100], "point_2d": [70, 50]}'
TARGET_ONE = Target((20, 10, 60, 30), ((40, 20),))
TARGET_TWO = Target((100, 0, 200, 50), ((140, 25),))
ANSWER = f"<think>Rain is wet. An umbrella helps.</think><answer>[{ONE}, {TWO}]</answer>"


class Script:
    """A reasoner that says a text, eight characters a token. before(token) is called before each token."""

    def __init__(self, text: str, before: Callable[[int], None] = lambda token: None) -> None:
        self.text, self.before = text, before
        self.asked: list[tuple[Image.Image, str]] = []
        self.closed = False

    def stream(self, image, prompt, *, cancel=None) -> Iterator[str]:
        self.asked.append((image, prompt))
        try:
            for token, start in enumerate(range(0, len(self.text), 8)):
                self.before(token)
                if cancel.is_set():
                    return
                yield self.text[start : start + 8]
        finally:
            self.closed = True


class Boxes:
    """A segmenter whose masks are the boxes; it notes what it was asked."""

    def __init__(self) -> None:
        self.embedded: list[tuple[int, int]] = []
        self.clicks: list = []
        self.in_thread: set[int] = set()

    def embed(self, image) -> None:
        self.embedded.append(image.size)
        self.in_thread.add(threading.get_ident())

    def segment(self, image, targets, *, clicks=None):
        self.clicks.append(clicks)
        masks = np.zeros((len(targets), image.height, image.width), bool)
        for mask, target in zip(masks, targets, strict=True):
            x1, y1, x2, y2 = map(int, target.box_xyxy)
            mask[y1:y2, x1:x2] = True
        return Masks(masks, np.full(len(targets), 0.75, np.float32))


def picture(wh: tuple[int, int] = WH, color: str = "red") -> Image.Image:
    return Image.new("RGB", wh, color)


def pipeline(text: str = ANSWER, *, segmenter=None, preset: Preset = PRESET, before=lambda token: None):
    return Pipeline(Script(text, before), segmenter or Boxes(), preset)
