"""The bundled weights on the bundled examples: python -m pytest tests/page/test_examples.py"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import segzero
from page.examples import read_examples
from segzero.contract import MINI
from segzero.pictures import decode_rle
from train.mini import examples
from train.mini.language import KINDS


def test_the_examples_have_different_sizes_and_true_masks():
    records = json.loads((examples.FOLDER / "examples.json").read_text(encoding="utf-8"))
    pictures = [Image.open(examples.FOLDER / record["picture"]) for record in records]
    assert len(records) == len(examples.RECIPES) == 12 and len({picture.size for picture in pictures}) >= 3
    for picture, record, recipe in zip(pictures, records, examples.RECIPES, strict=True):
        mask = decode_rle(record["mask"])
        assert picture.size == mask.shape[::-1] and picture.width != picture.height
        assert mask.any() == (recipe.kind != "none") and mask.mean() < 0.5
    assert [each.question for each in read_examples()] == [record["question"] for record in records]


def test_the_examples_are_of_every_kind_and_composed_again_the_same():
    assert {recipe.kind for recipe in examples.RECIPES} == set(KINDS)
    recipe = next(recipe for recipe in examples.RECIPES if recipe.kind == "spatial")
    record = json.loads((examples.FOLDER / "examples.json").read_text())[examples.RECIPES.index(recipe)]
    _, question, mask = examples.compose(recipe, examples.read_world())
    true = decode_rle(record["mask"])
    assert question == record["question"]
    assert (mask & true).sum() > 0.99 * (mask | true).sum()  # OpenCV's versions round edges differently


@pytest.mark.slow
def test_the_bundled_mini_answers_the_bundled_examples():
    if not Path(MINI.reasoner).is_dir():
        pytest.skip("the bundled weights are not here yet")
    assert examples.check(segzero.load("mini"))
