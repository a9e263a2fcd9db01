"""Weights carried over to other words, another frame or other crops keep what they meant.

python -m pytest tests/mini/test_carry.py
"""

from __future__ import annotations

import torch

from train.mini.carry import EMBEDDING, TIED, carried, resized

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


def test_relative_positions_keep_their_place_in_the_crop():
    table = torch.tensor([[-6.0], [0.0], [6.0]])  # a map of two cells: one before, the same, one after
    weights = {"blocks.0.attn.rel_pos_h": table, "blocks.0.norm": torch.ones(2)}
    new = resized(weights, crop_px=48)  # three cells: offsets of -2..2
    # Five rows in the place of three: centres at -0.2, 0.4, 1, 1.6 and 2.2 of the old ones, which end at 2.
    torch.testing.assert_close(
        new["blocks.0.attn.rel_pos_h"], torch.tensor([[-6.0], [-3.6], [0.0], [3.6], [6.0]])
    )
    assert new["blocks.0.norm"] is weights["blocks.0.norm"]
