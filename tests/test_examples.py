"""The bundled weights on the bundled examples: python -m pytest tests/test_examples.py"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import segzero
from page.examples import read_examples
from segzero.masks import decode_rle
from segzero.presets import MINI
from train.mini import examples


def test_the_examples_have_different_sizes_and_true_masks():
    records = json.loads((examples.FOLDER / "examples.json").read_text(encoding="utf-8"))
    pictures = [Image.open(examples.FOLDER / record["picture"]) for record in records]
    assert len({picture.size for picture in pictures}) == 3
    for picture, record in zip(pictures, records, strict=True):
        mask = decode_rle(record["mask"])
        assert picture.size == mask.shape[::-1] and picture.width != picture.height
        assert 0 < mask.mean() < 0.5
    assert [each.question for each in read_examples()] == [recipe.question for recipe in examples.RECIPES]


@pytest.mark.slow
def test_the_bundled_mini_answers_the_bundled_examples():
    if not Path(MINI.reasoner).is_dir():
        pytest.skip("the bundled weights are not here yet")
    assert examples.check(segzero.load("mini"))
