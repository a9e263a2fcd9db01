"""What an evaluation says depends on no batch size: python -m pytest tests/evaluation/test_batch_sizes.py"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segzero.data import Item, read_samples, write_dataset
from segzero.evaluation import Draws, answer_samples
from segzero.pipeline import Pipeline
from segzero.reasoner import Reasoner
from tests.shared.evaluating import Segmenter
from tests.shared.scripted import PRESET
from tests.shared.tiny import FAMILIES, save_tiny_reasoner

SHAPES = ((200, 50), (60, 90), (80, 80))


def items() -> list[Item]:
    """Three pictures of different shapes, two questions to each and one to the last."""
    found = []
    for number, (width, height) in enumerate(SHAPES):
        noise = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        for question in ("the red umbrella", "What could keep a dog dry in the rain?")[: 2 - number // 2]:
            name, mask = f"{number}{question[0]}", np.ones((height, width), bool)
            found.append(Item(name, question, Image.fromarray(noise), f"{number}.png", [mask]))
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_greedy_and_drawn_do_not_depend_on_the_batch_size(family: str, tmp_path: Path):
    reasoner = Reasoner.load(save_tiny_reasoner(tmp_path / "model", family), device="cpu", max_new_tokens=12)
    pipeline = Pipeline(reasoner, Segmenter(), PRESET)
    write_dataset(tmp_path / "data", items())
    samples, _ = read_samples(tmp_path / "data")
    runs = []
    for at_once in (1, 3, 16):
        records = answer_samples(pipeline, samples, at_once=at_once, draws=Draws(3))
        runs.append({record.id: record.answers for record in records})
        alone = answer_samples(pipeline, samples, at_once=at_once)
        assert {record.id: record.raw for record in alone} == {
            name: said[0] for name, said in runs[-1].items()
        }
    assert len(runs[0]) == 5 and all(len(said) == 3 for said in runs[0].values())
    assert len({text for said in runs[0].values() for text in said}) > 5
    assert runs[1] == runs[0] and runs[2] == runs[0]
