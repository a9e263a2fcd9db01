"""StAR's answers: thousandths and names, as its own code reads them.

python -m pytest tests/contract/test_star.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segzero.contract import MULTI, PRESETS, AnswerStream, Target

CASES = json.loads(Path(__file__).with_name("star_coords.json").read_text())
"""Made by StAR's code: numbers as Qwen3-VL writes them, and where they are in a picture."""
STAR_8B, STAR_7B, QWEN = (PRESETS[name] for name in ("star-8b", "star-7b", "qwen3-vl-4b"))


def answer(*objects: dict) -> str:
    return f"<think>I look.</think><answer>{json.dumps(objects)}</answer>"


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_numbers_are_where_star_has_them(case: dict):
    text = answer({"label": "cup", "bbox_2d": case["bbox_2d"], "point_2d": case["point_2d"]})
    for preset in (STAR_8B, QWEN):  # what a model is shown does not matter to thousandths
        read = preset.parse(text, tuple(case["image_wh"]))
        assert read.targets == (Target(tuple(case["box_px"]), (tuple(case["point_px"]),), "cup"),)


def test_the_seven_b_writes_pixels_of_its_square():
    read = STAR_7B.parse(
        answer({"label": "cup", "bbox_2d": [84, 168, 420, 840], "point_2d": [210, 420]}), (640, 360)
    )
    assert read.targets == (Target((64, 72, 320, 360), ((160, 180),), "cup"),) and not read.problem


@pytest.mark.parametrize(
    "numbers, words",
    [
        ([100, 200, 300, 400, 150, 250], ""),
        ([0.1, 0.2, 0.3, 0.4, 0.2, 0.3], "taken for fractions"),
        ([100, 200, 1300, 400, 150, 250], "taken for pixels of the picture"),
        ([300, 200, 100, 400, 150, 250], "swapped"),
        ([100, 200, 100, 400, 100, 250], "widened by a pixel"),
        ([100, 200, 300, 400, 500, 250], "point outside its own box"),
    ],
)
def test_what_was_odd_is_told(numbers: list, words: str):
    read = STAR_8B.parse(
        answer({"label": "cup", "bbox_2d": numbers[:4], "point_2d": numbers[4:]}), (1500, 800)
    )
    assert read.status == "ok" and (words in read.problem if words else not read.problem)


@pytest.mark.parametrize(
    "written, label",
    [
        ('"label": "the red cup"', "the red cup"),
        ('"label": "two\\nlines\\u0007"', "two lines"),
        (f'"label": "{"x" * 500}"', "x" * 80),
        ('"label": 7', ""),
        ('"label": null', ""),
        ("'label': 'a cup'", "a cup"),  # no JSON any more
        ('"LABEL": "cup"', "cup"),
    ],
)
def test_names(written: str, label: str):
    text = f'<think>a</think><answer>[{{{written}, "bbox_2d": [1,2,30,40], "point_2d": [5,6]}}]</answer>'
    assert [target.label for target in STAR_8B.parse(text, (640, 480)).targets] == [label]


def test_only_star_has_names_and_the_numbers_as_written_are_kept():
    text = answer({"label": "cup", "bbox_2d": [100, 200, 300, 400], "point_2d": [150, 250]})
    read = STAR_8B.parse(text, (640, 480))
    assert read.written == (Target((100, 200, 300, 400), ((150, 250),), "cup"),)
    assert STAR_8B.dialect is not MULTI
    assert PRESETS["visionreasoner-7b"].parse(text, (640, 480)).targets[0].label == ""


DOG = '[{"label": "dog", "bbox_2d": [100, 200, 300, 400], "point_2d": [150, 250]}]'


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"<think>It barks.</think><answer>{DOG}</answer>", id="as asked"),
        pytest.param(f"It barks.</think>\n\n<answer>{DOG}</answer>", id="its template opened the thought"),
        pytest.param(f"\n\nIt barks.\n\n<answer>{DOG}</answer>", id="its template gave an empty thought"),
        pytest.param(f"<think>\nIt barks.\n</think>\n\n<answer>\n{DOG}\n</answer>", id="with lines between"),
    ],
)
def test_thoughts_wherever_they_come_are_streamed_as_thoughts(text: str):
    stream, told, found = AnswerStream(STAR_8B.dialect, STAR_8B.frame, (1000, 1000)), [], []
    for char in text:
        found += stream.feed(char)
        told.append(stream.thinking)
    assert all("It barks.".startswith(thought) for thought in told) and told[-1] == "It barks."
    assert [target.label for target in found] == ["dog"]  # as soon as its object closed, not at the end
    assert stream.finish().status == "ok" and stream.finish().thinking == "It barks."


def test_a_thought_that_never_ends_is_told():
    read = STAR_8B.parse("<think>Let me see. The dog is on the left, no, on the right. Wait", (640, 480))
    assert read.status == "unreadable" and "ends before any answer" in read.problem
    assert read.thinking.endswith("Wait")


def test_a_key_that_comes_twice_has_its_own_label():
    dog = '"label": "dog", "bbox_2d": [0,0,499,499], "point_2d": [9,9]'
    cat = '"label": "cat", "bbox_2d": [500,500,999,999], "point_2d": [600,600]'
    for quote in ('"', "'"):
        text = f"<think>A.</think><answer>[{{{dog}, {cat}}}]</answer>".replace('"', quote)
        assert [target.label for target in STAR_8B.parse(text, (640, 480)).targets] == ["dog", "cat"]
