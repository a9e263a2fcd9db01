"""Stand-ins and data for tests of the evaluation: a reasoner of fixed answers, a segmenter that may refuse.

Pipeline(Reasoner(), Segmenter(), PRESET)          # of tests/shared/scripted.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from PIL import Image

from segzero.__main__ import main
from segzero.data import Item
from segzero.segmenter import SegmenterError
from tests.shared.scripted import WH, Boxes

LEFT = (
    '<think>It is on the left.</think><answer>[{"bbox_2d": [0, 0, 50, 100], "point_2d": [25, 50]}]</answer>'
)
NONE = "<think>Nothing is.</think><answer>[]</answer>"
ANSWERS = {"left": LEFT, "none": NONE, "babble": "I do not know.", "error": LEFT, "right": LEFT}


class Reasoner:
    """Says what ANSWERS has for a word of the prompt; `drawn` in turn when answers are drawn.

    before(count) is called before each answer, with how many there have been.
    """

    drawn = (LEFT, NONE, LEFT)

    def __init__(self, before=lambda count: None) -> None:
        self.before, self.asked, self.seeds = before, [], []

    def answer_all(self, requests, at_once):
        for request in requests:
            self.before(len(self.asked))
            assert request.frame.size == (100, 100)
            question = re.search('"(.*?)"', request.prompt)[1]
            self.asked.append(question)
            self.seeds.append(request.seed)
            if request.temperature:
                yield request.key, self.drawn[request.key[1] % 3]
            else:
                yield request.key, next(text for word, text in ANSWERS.items() if word in question)


class Segmenter(Boxes):
    """Refuses pictures that are blue."""

    def segment(self, image, targets, *, clicks=None):
        if image.getpixel((0, 0)) == (0, 0, 255):
            raise SegmenterError("The box lies beside the picture.")
        return super().segment(image, targets, clicks=clicks)

    def segment_each(self, asked):
        found = []
        for image, targets in asked:
            try:
                found.append(self.segment(image, targets))
            except SegmenterError as error:
                found.append(error)
        return found


def half(side: str) -> np.ndarray:
    mask = np.zeros(WH[::-1], bool)
    mask[:, : WH[0] // 2] = True
    return mask if side == "left" else ~mask


def item(name: str, question: str, masks: list, color: str = "red", **more) -> Item:
    return Item(name, question, Image.new("RGB", WH, color), f"{color}.png", masks, **more)


ITEMS = [
    item("a", "the left one", [half("left")], kind="spatial"),
    item("b", "the right one", [half("right")], kind="spatial"),
    item("c", "none of them", [], kind="none"),
    item("d", "babble", [half("left")], kind="odd"),
    item("e", "an error", [half("left")], color="blue", kind="odd"),
    item("f", "left of it", [half("left")], text=1, ignore=half("right")),
]


def evaluate(*args: object) -> int:
    """Run the command on the data set `mine` into the folder `run`; its exit code."""
    return main(["evaluate", "--data", "mine", "--out", "run", *map(str, args)])


def totals() -> dict:
    """What that run came to."""
    return json.loads(Path("run/totals.json").read_text())
