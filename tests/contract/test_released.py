"""The releases' parsers beside ours: python -m pytest tests/contract/test_released.py

`script_single` and `script_multi` follow the published scripts step by step, errors and all; they stand here
apart from segzero/contract/released.py, so that one is held against the other.
"""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given

from segzero.contract import MULTI, SINGLE, Target, parse_answer
from segzero.contract.released import _first_answer, _first_braces
from tests.contract.answer_cases import CASES, CUP, CUP_TARGET, DOG, DOG_TARGET, answer
from tests.contract.test_answer_properties import DIALECTS, FAST, PICTURE, SQUARE, TEXTS


def script_single(text, x_factor, y_factor):
    match = re.search(r"{[^}]+}", text)
    if match:
        data = json.loads(match.group(0))
        bbox_key = next((key for key in data if "bbox" in key.lower()), None)
        if bbox_key and len(data[bbox_key]) == 4:
            b = data[bbox_key]
            bbox = [round(int(b[0]) * x_factor), round(int(b[1]) * y_factor)]
            bbox += [round(int(b[2]) * x_factor), round(int(b[3]) * y_factor)]
        keys = [key for key in data if "points" in key.lower()][:2]
        if len(keys) == 2:
            points = [[round(int(data[k][0]) * x_factor), round(int(data[k][1]) * y_factor)] for k in keys]
    thought = re.search(r"<think>([^<]+)</think>", text)
    if thought:
        think = thought.group(1)
    return [(bbox, points, think)]  # unbound where a step was skipped, which the script's `except` catches


def script_multi(text, x_factor, y_factor):
    match = re.search(r"<answer>\s*(.*?)\s*</answer>", text, re.DOTALL)
    if match:
        data = json.loads(match.group(1))
        boxes = [
            [
                int(item["bbox_2d"][0] * x_factor + 0.5),
                int(item["bbox_2d"][1] * y_factor + 0.5),
                int(item["bbox_2d"][2] * x_factor + 0.5),
                int(item["bbox_2d"][3] * y_factor + 0.5),
            ]
            for item in data
        ]
        points = [
            [[int(item["point_2d"][0] * x_factor + 0.5), int(item["point_2d"][1] * y_factor + 0.5)]]
            for item in data
        ]
    return [(box, point, "") for box, point in zip(boxes, points, strict=False)]


def script(text, dialect):
    """What the script hands to the segmenter, (boxes, points); None where it says "Reasoning error"."""
    read = script_single if dialect is SINGLE else script_multi
    try:
        return [(box, points) for box, points, _ in read(text, PICTURE[0] / 840, PICTURE[1] / 840)]
    except Exception:  # noqa: BLE001 - as in the script
        return None


def plain(targets):
    return [(list(t.box_xyxy), [list(point) for point in t.points_xy]) for t in targets]


@FAST
@given(TEXTS, DIALECTS)
@example(answer(f"[{DOG}]"), MULTI)
@example(answer(CUP), SINGLE)
def test_what_is_read_as_released_is_what_the_script_reads(text, dialect):
    ours, theirs = dialect.released(text, SQUARE, PICTURE), script(text, dialect)
    assert ours is None or plain(ours) == theirs
    for find, pattern in ((_first_braces, r"{[^}]+}"), (_first_answer, r"<answer>\s*(.*?)\s*</answer>")):
        match = re.search(pattern, text, re.DOTALL)
        try:
            assert find(text) == match.group(match.re.groups)
        except ValueError:
            assert match is None


@pytest.mark.parametrize(
    "text", ["<answer>" + " " * 200_000, "{" * 200_000, "{}" * 100_000, "<think>" * 50_000]
)
@pytest.mark.parametrize("dialect", [MULTI, SINGLE], ids=lambda dialect: dialect.name)
def test_no_text_takes_longer_than_its_length(text, dialect):
    """The scripts' own patterns take hours for the first."""
    assert dialect.released(text, SQUARE, PICTURE) is None


@FAST
@given(TEXTS, DIALECTS)
def test_what_the_script_refuses_is_mercy_in_any_text(text, dialect):
    check_bound(text, dialect)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_what_the_script_refuses_is_mercy(case):
    check_bound(case.text, case.dialect)


def check_bound(text, dialect):
    answer = parse_answer(text, dialect, SQUARE, PICTURE)
    mercy = answer.status != "unreadable" and dialect.released(text, SQUARE, PICTURE) != list(answer.targets)
    if answer.status != "unreadable" and script(text, dialect) != plain(answer.targets):
        assert mercy  # the script refuses it, or reads other numbers


@pytest.mark.parametrize(
    ("case", "text", "dialect", "expected"),
    [
        ("clean", answer(f"[{DOG}]"), MULTI, [DOG_TARGET]),
        ("clean, single", answer(CUP), SINGLE, [CUP_TARGET]),
        ("nothing matches", answer("[]"), MULTI, []),
        ("nothing matches, which the first release cannot read", answer("[]"), SINGLE, None),
        ("no thought", f"<answer>{CUP}</answer>", SINGLE, None),
        ("no thought, several", f"<answer>[{DOG}]</answer>", MULTI, None),
        ("an empty thought", answer(CUP, ""), SINGLE, None),
        ("a < in the thought", answer(CUP, "a < b"), SINGLE, None),
        ("an object in the thought", answer(CUP, "either {x}"), SINGLE, None),
        ("a box in the thought is read instead", answer(CUP, CUP.replace("84", "42")), SINGLE, "another"),
        ("point_1 and point_2", answer(CUP.replace("points_", "point_")), SINGLE, None),
        (
            "points",
            answer('{"bbox": [84,168,420,840], "points": [[210,420],[105,210]]}'),
            SINGLE,
            None,
        ),
        ("the tag named in the thought", answer(f"[{DOG}]", "I use <answer> tags."), MULTI, None),
        ("not a list", answer(DOG), MULTI, None),
        ("single quotes", answer(f"[{DOG}]".replace('"', "'")), MULTI, None),
        ("cut off", answer(f"[{DOG}]")[:-3], MULTI, None),
    ],
)
def test_the_scripts_ways(case, text, dialect, expected):
    found = dialect.released(text, SQUARE, PICTURE)
    if expected == "another":
        assert found != [CUP_TARGET] and isinstance(found[0], Target)
        return
    assert found == expected, case
