"""Training rows from composed scenes: made by hand, and by the mini world itself.

python -m pytest -q tests/train/test_training_scenes.py
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from PIL import Image

from segzero.contract import SEG_ZERO_7B
from segzero.pictures import decode_rle
from tests.shared.small_frame import MINI, WH, box_mask
from train.data import load
from train.data.scenes import scene_rows
from train.solution import read_solution


def scene() -> SimpleNamespace:
    """Two objects in a picture of 60 x 40, as the composer makes them."""
    boxes = [(10, 10, 20, 30), (40, 4, 49, 13)]
    things = [
        SimpleNamespace(mask=box_mask(*box), box_xyxy=box, point_xy=(box[0] + 5, box[1] + 5)) for box in boxes
    ]
    return SimpleNamespace(image=np.full((40, 60, 3), 7, np.uint8), objects=tuple(things))


def test_composed_scenes(tmp_path):
    questions = [SimpleNamespace(text=f"q{targets}", targets=targets) for targets in ((1, 0), (), (1,))]
    scenes = [(f"s{number}", scene(), question) for number, question in enumerate(questions)]
    several, none, one = scene_rows(scenes, MINI, tmp_path / "made")
    second, first = (
        '{"bbox_2d": [112,17,137,55], "point_2d": [126,38]}',
        '{"bbox_2d": [28,42,56,126], "point_2d": [42,63]}',
    )
    assert several.solution == f"[{second}, {first}]"
    assert none.solution == "[]" and none.masks == ()
    assert [decode_rle(rle).sum() for rle in several.masks] == [100, 231]
    assert one.wh == WH and one.question == "q(1,)" and one.id == "s2"
    with Image.open(one.image) as image:
        assert np.array_equal(np.asarray(image), scene().image)
    refused, _, single = scene_rows(scenes, SEG_ZERO_7B, tmp_path / "made")
    assert refused.where == "s0" and single.solution.startswith("<box>(560,84),(686,273)</box><points>(")


def test_the_mini_world_composes_the_same_rows_again(tmp_path):
    dataset, report = load("scenes", MINI, rows=4, seed=3, folder=tmp_path)
    again, _ = load("scenes", MINI, rows=4, seed=3, folder=tmp_path)
    assert report.used == 4 and dataset.to_list() == again.to_list()
    for row in dataset:
        with Image.open(row["image"]) as image:
            assert image.size == (row["img_width"], row["img_height"])
        assert len(read_solution(row["solution"])[1]) == len(row["masks"])
