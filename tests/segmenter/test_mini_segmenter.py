"""The mini segmenter: tiny and random, and with the bundled weights on composed scenes.

python -m pytest tests/segmenter/test_mini_segmenter.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from segzero.contract import Target
from segzero.segmenter import Segmenter
from tests.shared.tiny import mini_segmenter

REPO = Path(__file__).resolve().parents[2]


def picture(width: int = 60, height: int = 40, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


# --------------------------------------------------------------------------------------- tiny and random


@pytest.fixture(scope="module")
def tiny_mini():
    return mini_segmenter()


def test_the_mini_survives_saving(tiny_mini, tmp_path: Path):
    tiny_mini.save(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "mini_sam"
    segmenter = Segmenter.load(tmp_path, device="cpu")
    target = Target((5, 5, 40, 30), ((20, 20),))
    here, there = Segmenter(tiny_mini).segment(picture(), [target]), segmenter.segment(picture(), [target])
    assert np.corrcoef(here.low_res.ravel(), there.low_res.ravel())[0, 1] > 0.98
    for name, value in load_file(tmp_path / "model.safetensors").items():  # rounded on disk, and there alone
        known = tiny_mini.model.state_dict()[name]
        if known.is_floating_point():
            assert value.dtype == (torch.float16 if known.ndim < 2 else torch.float8_e4m3fn)
        torch.testing.assert_close(segmenter.backend.model.state_dict()[name].float(), value.float())
    assert there.masks.shape == (1, 40, 60) and there.low_res.shape == (1, 32, 32)
    assert there.scores.dtype == np.float32 and 0 <= there.scores[0] <= 1


@pytest.mark.parametrize(
    ("size", "box", "points"),
    [
        ((1, 1), (0, 0, 1, 1), ((0, 0),)),
        ((20000, 10), (0, 0, 20000, 10), ((10000, 5),)),
        ((10, 33000), (2, 32000, 9, 33000), ()),
        ((60, 40), (0, 0, 60, 40), ((0, 0), (59, 39))),
        ((60, 40), (59, 39, 60, 40), ((1, 1),)),  # a point far from its box
        ((60, 40), (30, 20, 30, 20), ()),  # a box without area
        ((60, 40), (10, 5, 10, 39), ()),
    ],
)
def test_the_mini_takes_pictures_and_boxes_of_any_shape(tiny_mini, size, box, points):
    clicks = [[((0, 0), False), ((size[0], size[1]), True)]]
    for more in (None, clicks):
        found = Segmenter(tiny_mini).segment(picture(*size), [Target(box, points)], clicks=more)
        assert found.masks.shape == (1, size[1], size[0]) and np.isfinite(found.scores).all()


@pytest.mark.parametrize("points", [(), ((20, 20),)])
def test_of_the_masks_considered_the_one_that_counts_is_the_first(tiny_mini, points):
    segmenter, target = Segmenter(tiny_mini), Target((5, 5, 40, 30), points)
    found = segmenter.segment(picture(), [target])
    masks, scores = segmenter.candidates(picture(), target)
    assert masks.shape == (4, 40, 60) and scores.shape == (4,)  # token 0's, and the three further
    assert (masks[0] == found.masks[0]).all() and scores[0] == pytest.approx(float(found.scores[0]), abs=1e-5)


def test_the_mini_gives_the_same_alone_and_among_many(tiny_mini):
    segmenter = Segmenter(tiny_mini)
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, 40, (40, 2, 2)), 1).reshape(40, 4)
    targets = [Target(tuple(box), ((box[0], box[1]),) * (i % 3)) for i, box in enumerate(corners)]
    found = segmenter.segment(picture(), targets)
    for index in (0, 17, 39):
        alone = segmenter.segment(picture(), [targets[index]])
        assert np.allclose(alone.low_res[0], found.low_res[index], atol=1e-4)


def test_the_mini_gives_the_same_in_one_picture_and_in_many(tiny_mini):
    segmenter = Segmenter(tiny_mini)
    target = Target((5, 5, 40, 30), ((20, 20),))
    asked = [(picture(), [target, Target((0, 0, 9, 9))]), (picture(70, 50), [target])]
    for (image, targets), found in zip(asked, segmenter.segment_each(asked), strict=True):
        alone = segmenter.segment(image, targets)
        assert found.masks.shape == alone.masks.shape == (len(targets), *image.size[::-1])
        assert np.allclose(alone.low_res, found.low_res, atol=1e-4)


@pytest.mark.parametrize("side", [16.0, 48.0, 100.0])
def test_a_window_shows_each_pixel_where_it_belongs_and_paste_puts_it_back(side: float):
    from segzero.segmenter import cut, paste
    from segzero.segmenter.crop import Window, to_crop

    disc = np.hypot(*np.mgrid[-20:50, -35:65]) < 7  # 70 high, 100 wide, centred at (35, 20)
    window = Window(35.5 - side / 2, 20.5 - side / 2, side)
    crop = cut(disc.astype(np.uint8) * 255, window, 48)
    assert crop.shape == (48, 48) and crop.dtype == np.uint8
    assert crop.mean() / 255 == pytest.approx(min(disc.sum() / side**2, 1), rel=0.05)
    weight = crop.astype(float) / crop.sum()
    rows, columns = np.mgrid[:48, :48]
    assert ((weight * columns).sum(), (weight * rows).sum()) == pytest.approx((23.5, 23.5), abs=0.1)
    assert to_crop(np.array([35, 20]), window, 48) == pytest.approx((23.5, 23.5))
    back = paste(crop.astype(np.float32) / 255 - 0.5, window, (100, 70))
    assert (back & disc).sum() / (back | disc).sum() > 0.95


def test_a_crop_over_the_edge_is_padded_and_nothing_is_found_outside_it():
    from segzero.segmenter import cut, paste
    from segzero.segmenter.crop import Window

    white = np.full((40, 60, 3), 255, np.uint8)
    crop = cut(white, Window(-32.0, -32.0, 64.0), 32, (128, 128, 128))
    assert (crop[:15, :15] == 128).all() and (crop[17:, 17:] == 255).all()
    assert (cut(white, Window(100.0, 100.0, 10.0), 8, (1, 2, 3)) == (1, 2, 3)).all()
    everywhere = paste(np.ones((32, 32), np.float32), Window(-32.0, -32.0, 64.0), (60, 40))
    assert everywhere[:31, :31].all() and not everywhere[33:].any() and not everywhere[:, 33:].any()


def test_logits_of_a_wider_window_are_seen_in_a_nearer_one():
    from segzero.segmenter.crop import Window, seen_in

    rows, columns = np.mgrid[:16, :16].astype(np.float32)
    wide, near = Window(10.0, 20.0, 32.0), Window(14.0, 26.0, 16.0)  # 2 and 1 picture pixels per logit
    found = seen_in(near, wide, np.stack([columns, rows]))
    # The nearer one's middle is the picture's (22, 34): after 6 and 7 pixels of the wide one.
    assert found.shape == (2, 16, 16)
    assert found[:, 7:9, 7:9].mean((1, 2)) == pytest.approx((5.5, 6.5), abs=0.02)
    assert found[0, 0] == pytest.approx(1.75 + 0.5 * np.arange(16), abs=0.02)


def test_prompts_are_drawn_where_they_are():
    from segzero.segmenter.mini_net import draw_prompts

    boxes = torch.tensor([[8.0, 4, 24, 20]])
    points, labels = torch.tensor([[[10.0, 20], [28, 2], [3, 3]]]), torch.tensor([[1, 0, -1]])
    box, positive, negative = draw_prompts(boxes, points, labels, 32)[0]
    assert box.shape == (16, 16) and box[5, 8] == 1 and box[1, 8] == 0 and box[5, 13] == 0  # (row, column)
    assert divmod(int(positive.argmax()), 16) == (10, 5) and divmod(int(negative.argmax()), 16) == (1, 14)
    assert positive.max() > 0.9 and positive[1, 1] < 0.01 and negative[1, 1] < 0.01  # padding is not drawn


# --------------------------------------------------------------------------------------- the bundled weights

WEIGHTS = REPO / "assets" / "mini" / "segmenter"


@pytest.fixture(scope="module")
def composer():
    pytest.importorskip("train.mini.world.scenes")
    from train.mini.world import Composer, World

    return Composer(World.load(), "test")


@pytest.mark.slow
def test_the_bundled_weights_cut_out_unseen_sprites(composer):
    from segzero.segmenter import MiniBackend
    from train.mini.evaluate_segmenter import evaluate

    prompts = evaluate(MiniBackend.load(WEIGHTS), composer, scenes=12, progress=False)["prompts"]
    assert prompts["true box and point"]["IoU"] > 0.75
    assert prompts["edges off by 10 %"]["IoU"] > 0.70
    sloppy = prompts["edges off by 18 %"]
    assert sloppy["IoU"] > sloppy["IoU at the first look"]
    assert sloppy["IoU after one click"] > sloppy["IoU"]


@pytest.mark.slow
def test_the_bundled_weights_were_measured():
    results = json.loads((WEIGHTS / "results.json").read_text())
    assert results["scenes"] >= 200 and results["prompts"]["true box and point"]["IoU"] >= 0.80
