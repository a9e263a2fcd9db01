"""Masks that vote, worked out by hand: python -m pytest tests/evaluation/test_voting.py"""

from __future__ import annotations

import numpy as np
import pytest

from segzero.evaluation import RULES
from segzero.evaluation.voting import pairwise_iou, vote


def mask(*rows: str) -> np.ndarray:
    return np.array([[char == "#" for char in row] for row in rows])


LEFT, RIGHT, NOTHING = mask("##..", "##.."), mask("..##", "..##"), mask("....", "....")
MORE = mask("###.", "##..")


def test_pairs():
    found = pairwise_iou(np.stack([LEFT, MORE, NOTHING, NOTHING]))
    assert found.tolist() == [[1, 0.8, 0, 0], [0.8, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]


def test_most_win_and_agreement_is_the_mean_of_all_pairs():
    result = vote([LEFT, MORE, RIGHT])
    assert set(result.masks) == set(RULES)
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
