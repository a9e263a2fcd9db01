"""The strings that training sets write their ground truth in.

python -m pytest -q tests/train/test_solution.py
"""

from __future__ import annotations

import pytest

from segzero.contract import MULTI, SINGLE, Target
from train.solution import read_solution, write_solution

SINGLE_TEXT = "<box>(84,0),(840,420)</box><points>(420,210),(500,100)</points>"


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        (SINGLE_TEXT, SINGLE),
        ("[]", MULTI),
        ('[{"bbox_2d": [1,2,3,4], "point_2d": [2,3]}, {"bbox_2d": [5,6,7,8], "point_2d": [6,7]}]', MULTI),
    ],
)
def test_what_is_read_is_written_again(text, dialect):
    found, targets = read_solution(text)
    assert found is dialect and write_solution(targets, found) == text


def test_numbers_are_rounded():
    target = Target((0.6, 1.4, 9.5, 8.0), ((4.6, 3.4), (5.0, 6.0)))
    assert write_solution([target], SINGLE) == "<box>(1,1),(10,8)</box><points>(5,3),(5,6)</points>"
    assert write_solution([target], MULTI) == '[{"bbox_2d": [1,1,10,8], "point_2d": [5,3]}]'


def test_what_the_single_dialect_cannot_say():
    one = Target((0, 0, 9, 9), ((4, 4),))
    for targets in ([], [one], [one, one]):
        with pytest.raises(ValueError, match="single dialect"):
            write_solution(targets, SINGLE)


@pytest.mark.parametrize(
    "text", ["", "{}", "<box>(1,2),(3,4)</box>", "<box>", '[{"bbox_2d": [9,9,1,1], "point_2d": [1,1]}]']
)
def test_what_is_no_solution(text):
    with pytest.raises(ValueError, match="solution"):
        read_solution(text)
