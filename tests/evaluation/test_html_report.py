"""The page that shows an evaluation: python -m pytest tests/evaluation/test_html_report.py"""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segzero.data import Item, LoadedSample, read_samples, write_dataset
from segzero.evaluation import Overlap, Record, aggregate_records, write_report
from segzero.evaluation.html_report import FOUND, IGNORED, MISSED, WRONG, marks
from segzero.pictures import encode_mask

W, H = 80, 40
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> & \"quotes\" 'and' $title"


def columns(first: int, last: int) -> np.ndarray:
    """(H, W) bool, set in some columns, the last left out."""
    mask = np.zeros((H, W), bool)
    mask[:, first:last] = True
    return mask


def record(name: str, status: str = "ok", iou: float = 0.5, **more) -> Record:
    given = dict(
        question="which?",
        raw="<think>I think & see.</think><answer>[]</answer>",
        overlap=Overlap(int(iou * 100), 100, 60, 60),
        mask=encode_mask(columns(0, 20)),
        seconds={"reasoning": 0.5, "segmentation": 0.25},
    )
    return Record(name, "p.png", status=status, **{**given, **more})


def named(*labels: str) -> tuple[dict, ...]:
    place = {"box_xyxy": [10, 0, 30, H], "points_xy": [[20, 5]], "score": 0.9}
    return tuple({"label": label, **place} for label in labels)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    picture = Image.new("RGB", (W, H), "white")
    items = [Item(name, "which?", picture, "p", [columns(10, 30)]) for name in "abcd"]
    write_dataset(tmp_path / "data", items)
    samples, _ = read_samples(tmp_path / "data")
    records = [
        record("a", iou=0.75, kind="spatial", targets=named(HOSTILE, "a cup")),
        record("b", iou=0.25, kind="none"),
        record("c", "unreadable", kind=HOSTILE, question=HOSTILE, raw=HOSTILE, problem=HOSTILE),
        record("d", "left_out", overlap=None, mask=None, raw="", problem="a mask that cannot be used"),
    ]
    totals = {**aggregate_records(records), "settings": {"data": HOSTILE}}
    return write_report(tmp_path / "out", records, samples, totals)


class Reader(HTMLParser):
    """The articles in order, all scripts, and every attribute that runs code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.articles, self.scripts, self.handlers, self.images, self.tags = [], 0, [], [], []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.scripts += tag == "script"
        self.handlers += [name for name in given if name.startswith("on")]
        if tag == "article":
            self.articles.append((given["data-status"], given["data-kind"]))
        if tag == "img":
            self.images.append(given["src"])


def test_the_worst_come_first_and_the_left_out_last(page: Path):
    read = Reader(page.read_text(encoding="utf-8"))
    assert read.articles == [("unreadable", HOSTILE), ("ok", "none"), ("ok", "spatial"), ("left_out", "")]
    assert read.images == [
        f"images/{name}" for n in range(3) for name in ("00000.jpg", f"{n:05d}.png")
    ]  # one picture, and what lies over it
    assert all((page.parent / image).is_file() for image in read.images)


def test_nothing_that_a_model_or_a_person_wrote_is_code(page: Path):
    text = page.read_text(encoding="utf-8")
    read = Reader(text)
    assert read.scripts == 1 and read.handlers == [] and "<img src=x" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text and "$title" in text  # theirs, not the template's


def test_the_page_shows_numbers_thought_and_filters(page: Path):
    text = page.read_text(encoding="utf-8")
    assert (
        "I think &amp; see." in text
        and "IoU 75.0" in text
        and "0.75 s" in text
        and "75 of 100 pixels" in text
        and "By protocol" in text
        and "Questions by IoU in tenths: 1, 0, 1, 0, 0, 0, 0, 1, 0, 0" in text
        and '<i style="width:75.0%">' in text
    )
    assert '<option value="unreadable">unreadable</option>' in text and "<td>vision_reasoner</td>" in text
    assert "http" not in text.replace("http-equiv", "")


def test_colours_tell_found_from_wrong_from_missed():
    loaded = LoadedSample(Image.new("RGB", (W, H), "white"), columns(10, 30)[None], columns(60, 80))
    target = {"box_xyxy": [0, 0, 20, 40], "points_xy": [[5, 30]], "score": 0.9}
    seen = np.asarray(marks(loaded, record("a", targets=(target,)))).tolist()
    for x, color in ((13, FOUND), (7, WRONG), (25, MISSED), (70, IGNORED)):
        assert seen[10][x] == [*color, 115], (x, color)
    assert seen[10][29] == [*MISSED, 255], "an outline"
    assert seen[10][50] == [0, 0, 0, 0]
    assert seen[0][10] == [255, 255, 255, 255], "the box's edge"


def test_large_pictures_are_made_smaller():
    loaded = LoadedSample(Image.new("RGB", (1600, 400)), np.zeros((0, 400, 1600), bool), None)
    assert marks(loaded, record("a", mask=encode_mask(np.zeros((400, 1600), bool)))).size == (640, 160)


@pytest.mark.browser
def test_filters_hide_what_is_not_chosen(page: Path, browser):
    view = browser.new_page(viewport={"width": 390, "height": 800})
    view.set_default_timeout(120_000)
    errors = []
    view.on("pageerror", lambda error: errors.append(error))
    view.goto(page.as_uri())
    assert view.locator("article:visible").count() == 4
    view.select_option("#status", "ok")
    assert view.locator("article:visible").count() == 2
    view.select_option("#kind", "none")
    assert view.locator("article:visible").count() == 1 and "1 of 4" in view.locator("#shown").inner_text()
    view.uncheck("#marks")
    assert view.locator(".marks:visible").evaluate("image => getComputedStyle(image).opacity") == "0"
    assert not errors and view.evaluate("document.documentElement.scrollWidth <= innerWidth")
    view.close()
