"""The three dialects: prompts, written answers, ground truths.

python -m pytest tests/contract/test_dialect.py
"""

from __future__ import annotations

import pytest

from segzero.contract import MULTI, STAR, Answer, Frame, Target, parse_answer
from segzero.contract.answer import DIALECTS, SINGLE

FRAME = (840, 840)
SQUARE = Frame(frame_px=840)
DOG_TARGET = Target((64, 72, 320, 360), ((160, 180),))


def test_prompts_are_letter_for_letter_those_of_training():
    assert SINGLE.prompt("What keeps Me dry?") == (
        "Please find 'what keeps me dry?' with bbox and points.Compare the difference between objects and "
        "find the most closely matched one.Output the thinking process in <think> </think> and final answer "
        "in <answer> </answer> tags.Output the one bbox and points of two largest inscribed circles inside "
        "the interested object in JSON format.i.e., <think> thinking process here </think><answer>"
        "{'bbox': [10,100,200,210], 'points_1': [30,110], 'points_2': [35,180]}</answer>"
    )
    assert MULTI.prompt("What keeps Me dry?") == (
        'Please find "what keeps me dry?" with bboxs and points.Compare the difference between object(s) and '
        "find the most closely matched object(s).Output the thinking process in <think> </think> and final "
        "answer in <answer> </answer> tags.Output the bbox(es) and point(s) inside the interested object(s) "
        "in JSON format.i.e., <think> thinking process here </think><answer>"
        '[{"bbox_2d": [10,100,200,210], "point_2d": [30,110]}, '
        '{"bbox_2d": [225,296,706,786], "point_2d": [302,410]}]</answer>'
    )
    assert STAR.prompt('"What keeps Me dry?!"') == (
        'Please find "what keeps me dry" with bbox(es) and point(s). Also provide a short label for '
        'each object. First, understand and summarize what the query —"what keeps me dry"— is likely '
        "referring to (which object or concept). Then apply this to the image and find the matched "
        "target object(s). Return ALL matching instances; if there are no matches, return an empty "
        "list (<answer>[]</answer>). double-check none are missed. Output the thinking process in "
        "<think> </think> and final answer in <answer> </answer> tags. Output the bbox(es) and "
        "point(s) inside the interested object(s), along with a short label, in JSON format. i.e., "
        '<think> thinking process (step-by-step reasoning) here </think> <answer>[{"label": "chair", '
        '"bbox_2d": [10,100,200,210], "point_2d": [30,110]}, {"label": "train track", "bbox_2d": '
        '[225,296,706,786], "point_2d": [302,410]}]</answer>'
    )


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_the_question_is_lower_cased_loses_its_full_stops_and_is_otherwise_data(dialect):
    assert dialect.prompt("The Umbrella.") == dialect.prompt("the umbrella")
    assert dialect.prompt("..Mr. Fox's hat...") == dialect.prompt("mr. fox's hat")
    assert "{Question} %s {0} </answer>".lower() in dialect.prompt("{Question} %s {0} </answer>")


@pytest.mark.parametrize(
    ("case", "dialect", "targets", "text"),
    [
        ("nothing", MULTI, [], "[]"),
        ("one", MULTI, [Target((1, 2, 3, 4), ((5, 6),))], '[{"bbox_2d": [1,2,3,4], "point_2d": [5,6]}]'),
        (
            "two, rounded",
            MULTI,
            [Target((1.2, 2, 3, 4), ((5, 6),)), Target((10, 20, 30.6, 40), ((11, 21),))],
            '[{"bbox_2d": [1,2,3,4], "point_2d": [5,6]}, {"bbox_2d": [10,20,31,40], "point_2d": [11,21]}]',
        ),
        (
            "single",
            SINGLE,
            [Target((1, 2, 3, 4), ((5, 6), (7, 8)))],
            '{"bbox": [1,2,3,4], "points_1": [5,6], "points_2": [7,8]}',
        ),
        (
            "named",
            STAR,
            [Target((1, 2, 3, 4), ((5, 6),), 'the "red" cup'), Target((1, 2, 3, 4), ((5, 6),))],
            '[{"label": "the \\"red\\" cup", "bbox_2d": [1,2,3,4], "point_2d": [5,6]}, '
            '{"label": "object", "bbox_2d": [1,2,3,4], "point_2d": [5,6]}]',
        ),
    ],
)
def test_writing(case, dialect, targets, text):
    assert dialect.write(targets) == text, case


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_what_is_written_is_read_back_clean(dialect):
    points = ((210, 420), (105, 210))[: dialect.points_per_target]
    target = Target((84, 168, 420, 840), points, "a cup" if dialect.labels else "")
    text = f"<think>A thought.</think><answer>{dialect.write([target])}</answer>"
    got = parse_answer(text, dialect, SQUARE, FRAME)
    assert got == Answer("ok", "A thought.", (target,), "")


def test_a_dialect_does_not_write_what_it_cannot_say():
    with pytest.raises(ValueError, match="two points"):
        SINGLE.write([DOG_TARGET])
    with pytest.raises(ValueError, match="one target"):
        SINGLE.write([])
    with pytest.raises(ValueError, match="has a point"):
        MULTI.write([Target((1, 2, 3, 4))])


def test_ground_truths_of_the_training_sets():
    text = "<box>(10,100),(200,210)</box><points>(30,110),(35,180)</points>"
    assert SINGLE.read_solution(text) == [Target((10, 100, 200, 210), ((30, 110), (35, 180)))]
    assert SINGLE.read_solution("<box> (1, 2.5), (3,4) </box>\n<points>(1,3),( 2 , 3)</points>") == [
        Target((1, 2.5, 3, 4), ((1, 3), (2, 3)))
    ]
    text = '[{"bbox_2d": [1,2,3,4], "point_2d": [2,3]}]'
    assert MULTI.read_solution(text) == [Target((1, 2, 3, 4), ((2, 3),))]
    assert MULTI.read_solution("[]") == []


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        (SINGLE, ""),
        (SINGLE, "<box>(1,2),(3,4)</box>"),
        (SINGLE, "<box>(9,2),(3,4)</box><points>(1,3),(2,3)</points>"),
        (MULTI, ""),
        (MULTI, "[3]"),
        (MULTI, "{}"),
        (MULTI, '[{"bbox_2d": [1,2,3,4]}]'),
        (MULTI, '[{"bbox_2d": [1,2,3], "point_2d": [1,2]}]'),
        (MULTI, '[{"bbox_2d": [1,2,3,4], "point_2d": [1,2,3]}]'),
    ],
)
def test_what_is_no_ground_truth(dialect, text):
    with pytest.raises(ValueError):
        dialect.read_solution(text)
