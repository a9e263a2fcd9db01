"""What holds for every answer and every frame: python -m pytest tests/contract/test_answer_properties.py

Texts are put together from what models write and from what breaks parsers; the draws are the same each time.
"""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segzero.contract import MULTI, SINGLE, STOP, AnswerStream, Frame, Target, parse_answer
from segzero.contract.geometry import clip_point, scale_box, scale_point
from tests.contract.answer_cases import CAT, CUP, DOG, answer

FRAME, PICTURE = (840, 840), (640, 360)
SQUARE = Frame(frame_px=840)
FAST = settings(max_examples=150, deadline=None, derandomize=True, database=None)

PIECES = ["<think>", "</think>", "<answer>", STOP, "```json\n", "```", DOG, CAT, CUP, "[", "]", "{", "}"]
PIECES += ['"bbox_2d": [1,2,3,4]', "'bbox': [0.1, 0.2, 0.3, 0.4]", '"point_2d": [990,2]', "points_1", ":"]
PIECES += [
    ",",
    '"',
    "'",
    "\\",
    " ",
    "\n",
    "<",
    "</",
    "<ans",
    "NaN",
    "-1e999",
    "9" * 400,
    "a dog",
    "ä\u2028\x00",
]
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), max_size=30).map("".join)
DIALECTS = st.sampled_from([MULTI, SINGLE])


@FAST
@given(TEXTS, DIALECTS, st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_any_text_is_read_and_streamed_it_is_read_the_same(text, dialect, cuts):
    stream, at, turn = AnswerStream(dialect, SQUARE, PICTURE), 0, 0
    while at < len(text):
        stream.feed(text[at : at + cuts[turn % len(cuts)]])
        at += cuts[turn % len(cuts)]
        turn += 1
        so_far = AnswerStream(dialect, SQUARE, PICTURE)
        so_far.feed(text[:at])
        assert stream.thinking == so_far.thinking  # asked at each piece or at the end alone
    got = stream.finish()
    assert got == parse_answer(text, dialect, SQUARE, PICTURE)
    assert (got.status == "ok") == bool(got.targets)
    assert got.problem.isprintable() and (got.problem or got.status != "unreadable")
    for target in got.targets:
        x1, y1, x2, y2 = target.box_xyxy
        assert 0 <= x1 < x2 <= 640 and 0 <= y1 < y2 <= 360
        assert all(0 <= x < 640 and 0 <= y < 360 for x, y in target.points_xy)


SIZES = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


@st.composite
def targets(draw, wh: tuple[int, int]) -> Target:
    """A target of whole pixels in a picture of at least 2 x 2."""
    x1, x2 = sorted(draw(st.lists(st.integers(0, wh[0]), min_size=2, max_size=2, unique=True)))
    y1, y2 = sorted(draw(st.lists(st.integers(0, wh[1]), min_size=2, max_size=2, unique=True)))
    points = st.tuples(st.integers(x1, x2), st.integers(y1, y2))
    return Target((x1, y1, x2, y2), (draw(points), draw(points)))


@FAST
@given(st.data(), DIALECTS, SIZES)
def test_what_a_dialect_writes_is_read_where_it_is_in_the_picture(data, dialect, picture):
    target = data.draw(targets(FRAME))
    target = Target(target.box_xyxy, target.points_xy[: dialect.points_per_target])
    got = parse_answer(answer(dialect.write([target])), dialect, SQUARE, picture)
    (found,) = got.targets
    for is_y, size in enumerate(picture):
        low, high = (edge * size / 840 for edge in target.box_xyxy[is_y::2])
        near = 0.5 if high - low > 1 else 1.5  # rounding; what is thinner than a pixel keeps one
        for edge, read in zip((low, high), found.box_xyxy[is_y::2], strict=True):
            assert abs(read - edge) <= near
        for written, read in zip(target.points_xy, found.points_xy, strict=True):
            assert abs(read[is_y] - min(written[is_y] * size / 840, size - 1)) <= 0.5
    assert {got.problem} <= {
        "",
        "Target 1: its box lies between 0 and 1, which cannot be pixels; the model may write fractions.",
    }


@FAST
@given(SIZES, SIZES, st.tuples(*[st.floats(0, 1)] * 4))
def test_frame_to_picture_and_back_is_where_one_was(frame, picture, parts):
    box = tuple(part * side for part, side in zip(parts, frame * 2, strict=True))
    back = scale_box(scale_box(box, frame, picture), picture, frame)
    assert back == pytest.approx(box, abs=1e-6)
    there = scale_point(box[:2], frame, picture)
    assert 0 <= there[0] <= picture[0] * (1 + 1e-12) and 0 <= there[1] <= picture[1] * (1 + 1e-12)
    x, y = clip_point(there, picture)
    assert 0 <= x <= picture[0] - 1 and 0 <= y <= picture[1] - 1


class Counted(list):
    """A list that counts what is read of it in slices."""

    read = 0

    def __getitem__(self, key):
        found = super().__getitem__(key)
        self.read += len(found) if isinstance(key, slice) else 1
        return found


def operations(text: str) -> int:
    """How many calls reading a text takes, those into C included."""
    calls = 0

    def count(frame, event, argument) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        parse_answer(text, MULTI, SQUARE, PICTURE)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    "piece",
    [
        "{",
        "[ ",
        "{}",
        "<answer>",
        "'{",
        '"bbox": [',
        "</",
        f"{DOG}, ",
        "{'bbox': {}, ",
        "{'bbox': [1,2,3,4], 'a': {'bbox': [1,2,3,4]}}",
    ],
)
@pytest.mark.parametrize("before", ["", "<think>A.</think><answer>[", "<think>"])
def test_reading_takes_operations_in_proportion_to_the_length(before, piece):
    assert operations(before + piece * 400) < 2.2 * operations(before + piece * 200) + 100


@pytest.mark.parametrize("thought", ["a < b, so the dog it is. ", " ", "<answer> is a word. ", "<answe"])
def test_a_thought_that_is_asked_for_at_each_piece_is_read_in_proportion_to_its_length(thought):
    def work(repeats: int) -> int:
        stream = AnswerStream(MULTI, SQUARE, PICTURE)
        stream._chars = Counted()
        text = "<think>" + thought * repeats + f"</think><answer>[{DOG}]{STOP}"
        for start in range(0, len(text), 4):
            stream.feed(text[start : start + 4])
            assert len(stream.thinking) <= len(text)
        return stream._chars.read

    assert work(800) < 2.2 * work(400)
