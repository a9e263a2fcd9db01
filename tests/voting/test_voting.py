"""Masks that vote, worked out by hand: python -m pytest tests/voting/test_voting.py"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from segzero.voting import OF_MASKS, agreement, elect_objects, majority_objects, nearest, pairwise_iou, vote

CASES = json.loads((Path(__file__).parent / "star_votes.json").read_text())
"""Votes as StAR's published code takes them. Boxes on a grid (h, w): x1, y1 inclusive, x2, y2 exclusive."""


def mask(*rows: str) -> np.ndarray:
    return np.array([[char == "#" for char in row] for row in rows])


LEFT, RIGHT, NOTHING = mask("##..", "##.."), mask("..##", "..##"), mask("....", "....")
MORE = mask("###.", "##..")


def test_pairs():
    found = pairwise_iou(np.stack([LEFT, MORE, NOTHING, NOTHING]))
    assert found.tolist() == [[1, 0.8, 0, 0], [0.8, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]


def test_most_win_and_agreement_is_the_mean_of_all_pairs():
    result = vote([LEFT, MORE, RIGHT])
    assert set(result.masks) == set(OF_MASKS)
    assert (result.masks["majority"] == MORE).all()  # each of its pixels has two of three
    assert (result.masks["medoid"] == MORE).all() and result.medoid == 1
    assert result.agreement == pytest.approx(2 * (0.8 + 0 + 1 / 8) / 6)


def test_weights_outvote_numbers():
    # Three alike against four that are each alone: by heads no pixel has a majority, by weight LEFT has.
    alone = [mask("...#", "...."), mask("....", "...#"), mask("..#.", "...."), mask("....", "..#.")]
    result = vote([LEFT, LEFT, LEFT, *alone])
    assert (result.masks["weighted"] == LEFT).all()


def test_answers_about_other_things_do_not_water_the_best_down():
    # The medoid is MORE; beside it LEFT weighs 0.8, the third 1/6, the last nothing: half of all is 0.98.
    result = vote([LEFT, MORE, mask("..##", "...."), mask("...#", "..##")])
    assert result.medoid == 1 and (result.masks["weighted"] == MORE).all()
    three = vote([LEFT, MORE, mask("##..", "##.#"), RIGHT])  # medoid LEFT: 1, 0.8, 0.8 and 0
    assert three.medoid == 0 and (three.masks["weighted"] == LEFT).all()


def test_honest_answers_of_nothing_can_win():
    result = vote([NOTHING, NOTHING, LEFT])
    assert not result.masks["weighted"].any() and not result.masks["majority"].any()
    assert result.medoid == 0


def test_no_majority_for_any_pixel_is_no_vote_for_nothing():
    result = vote([mask("#..."), mask(".#.."), mask("..#.")])
    assert (result.masks["majority"] == mask("#...")).all() and result.agreement == 0


def test_failures_have_no_vote_but_lower_the_agreement():
    result = vote([None, LEFT, LEFT, None])
    assert (result.masks["weighted"] == LEFT).all() and result.medoid == 1
    assert result.agreement == pytest.approx(2 / 12)


def test_one_answer_wins():
    assert vote([LEFT]).agreement == 1.0 and (vote([LEFT]).masks["weighted"] == LEFT).all()
    assert vote([LEFT, None]).agreement == 0.0


def test_nobody_to_vote():
    with pytest.raises(ValueError, match="nothing to vote on"):
        vote([None, None])


def boxed(box: list[int], hw: tuple[int, int]) -> np.ndarray:
    x1, y1, x2, y2 = box
    filled = np.zeros(hw, bool)
    filled[y1:y2, x1:x2] = True
    return filled


@pytest.mark.parametrize("aggregate", ["best", "consensus"])
@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_objects_are_elected_as_published(case: dict, aggregate: str):
    hw = tuple(case["grid"])
    samples = [[(boxed(each["box"], hw), each["score"]) for each in answer] for answer in case["samples"]]
    found = majority_objects(samples, hw, aggregate)
    assert ["".join("01"[pixel] for pixel in row) for row in found.astype(int)] == case[aggregate]


def test_half_the_answers_can_say_that_nothing_matches():
    hw = (2, 4)
    assert not majority_objects([[], [(LEFT, 0.9)]], hw).any()
    assert (majority_objects([[], [(LEFT, 0.9)], [(LEFT, 0.8)]], hw) == LEFT).all()
    assert (
        majority_objects([[], None, [(LEFT, 0.9)], [(LEFT, 0.8)]], hw) == LEFT
    ).all()  # a failure: no vote
    assert not majority_objects([None, None], hw).any() and not majority_objects([], hw).any()


def test_as_many_objects_as_most_answers_have_the_best_supported_first():
    two, one = [(RIGHT, 0.5), (LEFT, 0.9)], [(LEFT, 0.7)]
    first, second = elect_objects([two, one, two])
    assert (first.support, second.support) == (3, 2)
    assert (first.best.answer, first.best.index, first.best.score) == (0, 1, 0.9)
    assert (second.best.mask == RIGHT).all()
    assert len(elect_objects([two, one, one])) == 1
    assert len(elect_objects([two, one])) == 2 and len(elect_objects([one, two])) == 1  # as often: the first


def test_one_answer_counts_once_for_an_object_however_often_it_shows_it():
    twice = [(LEFT, 0.9), (LEFT, 0.9)]
    others = [[(RIGHT, 0.1), (NOTHING, 0.1)], [(RIGHT, 0.2)], [(RIGHT, 0.1)] * 2]
    first, second = elect_objects([twice, *others])
    assert first.support == 3 and (first.best.mask == RIGHT).all() and len(first.shown) == 4
    assert second.support == 1 and (second.best.mask == LEFT).all()


def test_what_fewer_than_a_fifth_show_is_left_out_unless_that_is_all():
    row = np.eye(6, 36, dtype=bool)[:, None]  # six objects of one pixel each, (1, 36)
    alone = [[(each, 0.5)] for each in row]
    assert len(elect_objects(alone)) == 1  # 1 of 6 is less than 0.2, of every one
    five = [[(row[0], 0.5), (each, 0.5)] for each in row[1:]]
    assert [each.support for each in elect_objects(five)] == [5, 1]  # 1 of 5 is 0.2
    six = [*five, [(row[0], 0.5), (row[1] | row[2], 0.1)]]
    assert [each.support for each in elect_objects(six)] == [6]


def test_consensus_weighs_pixels_by_score_and_half_is_enough():
    long, longer = np.ones((1, 20), bool), np.ones((1, 20), bool)
    long[0, 18:], longer[0, 19:] = False, False  # IoU 18 / 19
    assert (majority_objects([[(long, 0.5)], [(longer, 0.5)]], (1, 20), "consensus") == longer).all()
    assert (majority_objects([[(long, 0.6)], [(longer, 0.5)]], (1, 20), "consensus") == long).all()
    assert (majority_objects([[(long, 0.5)], [(longer, 0.5)]], (1, 20)) == longer).all()  # the largest
    assert (majority_objects([[(long, 0.0)], [(longer, 0.0)]], (1, 20), "consensus") == longer).all()
    with pytest.raises(ValueError, match="best"):
        majority_objects([[(long, 0.5)]], (1, 20), "median")


def test_agreement_is_that_of_the_vote_and_nearest_is_by_iou():
    answers = [RIGHT, None, LEFT, MORE]
    assert agreement(answers) == vote(answers).agreement and agreement([None, None]) == 0.0
    assert nearest(LEFT, answers) == 2 and nearest(NOTHING, [None, LEFT, NOTHING]) == 2
    assert nearest(LEFT, [None, None]) == 0
