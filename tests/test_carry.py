"""Weights carried over to other words and another frame keep what each token meant.

python -m pytest tests/test_carry.py
"""

from __future__ import annotations

import torch

from train.mini.carry import EMBEDDING, TIED, carried

WAS = {"0": 0, "1": 1, "cup": 2, "dog": 3}
NOW = {"0": 0, "1": 1, "2": 2, "3": 3, "dog": 4, "cup": 5, "new": 6}


def test_a_word_keeps_its_row_and_a_number_its_place():
    rows = torch.tensor([[0.0, 8.0], [4.0, 0.0], [1.0, 1.0], [3.0, 7.0]])
    other = torch.ones(3)
    new = carried({EMBEDDING: rows, TIED: rows, "norm": other}, WAS, NOW, was_px=2, frame_px=4)
    # Pixels 0..3 of a side of four have their centres at -0.25, 0.25, 0.75 and 1.25 of a side of two.
    places = [[0.0, 8.0], [1.0, 6.0], [3.0, 2.0], [4.0, 0.0]]
    assert new[EMBEDDING].tolist() == [*places, [3.0, 7.0], [1.0, 1.0], [2.0, 4.0]]
    assert new[TIED] is new[EMBEDDING] and new["norm"] is other


def test_the_same_words_and_frame_change_nothing():
    rows = torch.randn(4, 8, generator=torch.Generator().manual_seed(0)).half()
    same = carried({EMBEDDING: rows}, WAS, WAS, was_px=2, frame_px=2)
    assert torch.equal(same[EMBEDDING], rows) and list(same) == [EMBEDDING]
