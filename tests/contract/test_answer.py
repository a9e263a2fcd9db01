"""What a reasoner writes, and what is read from it: python -m pytest tests/contract/test_answer.py

The picture is 640 x 360 and the frame 840 x 840, so x shrinks by 16/21 and y by 3/7.
"""

from __future__ import annotations

import random
import time

import pytest

from segzero.contract import MULTI, STOP, Answer, AnswerStream, Frame, Target, parse_answer
from segzero.contract.answer import DIALECTS, SINGLE
from tests.contract.answer_cases import CASES, CAT, CAT_TARGET, CUP, DOG, DOG_TARGET, answer

FRAME, PICTURE = (840, 840), (640, 360)
SQUARE = Frame(frame_px=840)


def read(text, dialect=MULTI, image_wh=PICTURE):
    return parse_answer(text, dialect, SQUARE, image_wh)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_reading(case):
    got = read(case.text, case.dialect)
    targets = case.expected if isinstance(case.expected, list) else []
    assert got.status == ("ok" if targets else case.expected)
    assert list(got.targets) == targets
    assert case.problem in got.problem
    assert bool(case.problem) == bool(got.problem)
    assert got.problem.isprintable()  # one line


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_stream_reads_the_same_however_it_is_cut(case):
    _, text, *_, dialect = case
    rng = random.Random(case.name)
    whole = AnswerStream(dialect, SQUARE, PICTURE)
    fed_at_once = whole.feed(text)
    for longest in (1, 3, 40):
        stream = AnswerStream(dialect, SQUARE, PICTURE)
        fed, thoughts, at = [], [], 0
        while at < len(text):
            end = at + rng.randint(1, longest)
            fed += stream.feed(text[at:end])
            thoughts.append(stream.thinking)
            at = end
        assert stream.finish() == parse_answer(text, dialect, SQUARE, PICTURE)
        assert fed == fed_at_once == list(stream.finish().targets[: len(fed)])
        assert (stream.text, stream.closed) == (whole.text, whole.closed)
        if "<answer>" in text:
            assert all(thoughts[i].startswith(thoughts[i - 1]) for i in range(1, len(thoughts)))


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_read_without_an_error_and_the_same_however_cut(seed):
    rng = random.Random(seed)
    pieces = [
        *"{}[]\"'\\:, \n<\x00é",
        "<think>",
        "</think>",
        "<answer>",
        STOP,
        "```json",
        DOG,
        CUP,
        "a thought",
    ]
    pieces += ["bbox_2d", '"bbox_2d": [1,2,3,4]', '"point_2d": [2,3]', "NaN", "-1e9"]
    for _ in range(200):
        text = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 40)))
        for dialect in DIALECTS.values():
            stream = AnswerStream(dialect, SQUARE, PICTURE)
            fed = [target for char in text for target in stream.feed(char)]
            got = stream.finish()
            assert got == parse_answer(text, dialect, SQUARE, PICTURE)
            assert fed == list(got.targets[: len(fed)])
            assert (got.status == "ok") == bool(got.targets)
            assert got.problem or got.status != "unreadable"
            for target in got.targets:
                x1, y1, x2, y2 = target.box_xyxy
                assert 0 <= x1 < x2 <= 640 and 0 <= y1 < y2 <= 360
                assert all(0 <= x <= 639 and 0 <= y <= 359 for x, y in target.points_xy)


def test_a_target_comes_with_its_closing_brace():
    stream = AnswerStream(MULTI, SQUARE, PICTURE)
    assert stream.feed(f"<think>A.</think><answer>[{DOG[:-1]}") == []
    assert stream.feed("}") == [DOG_TARGET]
    assert stream.feed(f", {CAT}") == [CAT_TARGET]
    assert not stream.closed
    assert stream.feed(f"]{STOP} and {CAT}") == []
    assert stream.closed
    assert stream.text == f"<think>A.</think><answer>[{DOG}, {CAT}]{STOP}"
    assert stream.finish() is stream.finish()
    with pytest.raises(RuntimeError, match="finished"):
        stream.feed("more")


def test_the_thought_grows_without_its_tags():
    stream = AnswerStream(MULTI, SQUARE, PICTURE)
    seen = []
    for delta in ("<th", "ink>", "A dog", " a < b", "</th", "ink>", "\n<answer>[", DOG, "]</answer>"):
        stream.feed(delta)
        seen.append(stream.thinking)
    assert seen == ["", "", "A dog", "A dog a < b", "A dog a < b"] + ["A dog a < b"] * 4


@pytest.mark.parametrize(
    ("case", "text", "thinking"),
    [
        ("usual", "<think> A dog.\n</think> <answer>[]</answer>", "A dog."),
        ("no opening tag", "A dog.</think><answer>[]</answer>", "A dog."),
        ("no closing tag", f"<think>A dog.<answer>[{DOG}]</answer>", "A dog."),
        ("no tags", f"I see a dog. ```json\n[{DOG}]\n```", "I see a dog."),
        ("tags only around the answer", f"I see a dog. <answer>[{DOG}]</answer>", "I see a dog."),
        ("cut off within a tag", "<think>A dog.</thi", "A dog."),
        ("a tag in the thought", "<think>An <answer> now</think><answer>[]</answer>", "An <answer> now"),
        ("none", f"<answer>[{DOG}]</answer>", ""),
    ],
)
def test_the_thought_of_a_whole_answer(case, text, thinking):
    assert read(text).thinking == thinking, case


def test_the_first_hundred_of_two_hundred_targets_are_kept():
    stream = AnswerStream(MULTI, SQUARE, PICTURE)
    assert len(stream.feed(answer("[" + ", ".join([DOG] * 200) + "]"))) == 100
    got = stream.finish()
    assert (got.status, len(got.targets)) == ("ok", 100)
    assert got.problem == "Targets 101, 102, 103, 104, 105 and 95 more: left out, the most is 100."


def test_problems_name_the_targets_in_the_order_written():
    flat = '{"bbox_2d": [5,5,5,9], "point_2d": [5,5]}'
    problem = read(answer(f"[{flat}, {DOG}, {flat}]")).problem
    assert problem == "Targets 1 and 3: dropped, its box has no area."


def test_long_texts_take_time_in_proportion():
    stream = AnswerStream(MULTI, SQUARE, PICTURE)
    start = time.process_time()  # of this process alone, whatever else runs
    for char in "<think>" + "a < b > c { " * 20_000 + "</think><answer>[" + "{ " * 50_000:
        stream.feed(char)
    stream.finish()
    assert time.process_time() - start < 10  # a fraction of a second; reading all again at each delta, hours


@pytest.mark.parametrize(
    ("case", "dialect", "written", "box", "point"),
    [
        ("a half goes to the even number", SINGLE, 105, 52, 52),
        ("a half goes up", MULTI, 105, 53, 53),
        ("the next half, both ways up", SINGLE, 107, 54, 54),
        ("fractions are cut first", SINGLE, 105.9, 52, 52),
        ("fractions count", MULTI, 105.9, 53, 53),
    ],
)
def test_each_dialect_rounds_as_its_release_does(case, dialect, written, box, point):
    pair = f"{written},{written}"
    body = f'{{"bbox": [{pair},840,840], "points_1": [{pair}], "points_2": [800,800]}}'
    target = read(answer(body), dialect, image_wh=(420, 420)).targets[0]
    assert target.box_xyxy[:2] == (box, box), case
    assert target.points_xy[0] == (point, point), case


@pytest.mark.parametrize(
    ("case", "image_wh", "box", "point"),
    [
        ("one pixel", (1, 1), (0, 0, 1, 1), (0, 0)),
        ("very wide", (20000, 10), (19762, 5, 19881, 6), (19833, 5)),
        ("very high", (10, 20000), (9, 9762, 10, 9881), (9, 9833)),
    ],
)
def test_a_real_box_keeps_an_area_in_any_picture(case, image_wh, box, point):
    body = '[{"bbox_2d": [830,410,835,415], "point_2d": [833,413]}]'
    got = read(answer(body), image_wh=image_wh)
    assert got == Answer("ok", "A thought.", (Target(box, (point,)),), ""), case


def test_the_whole_frame_is_the_whole_picture():
    body = '[{"bbox_2d": [0,0,840,840], "point_2d": [839,839]}]'
    assert read(answer(body)) == Answer("ok", "A thought.", (Target((0, 0, 640, 360), ((639, 359),)),), "")
