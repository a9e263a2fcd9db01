"""The mini segmenter in training: its examples, stopping, resuming, starting from weights, and its measures.

python -m pytest tests/mini/test_train_segmenter.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.shared.tiny import mini_segmenter


@pytest.fixture(scope="module")
def tiny_mini():
    return mini_segmenter()


class Discs:
    """Stands for a Composer: two discs of plain colour on noise."""

    def scene(self, rng, wh, count=None):
        width, height = wh
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        ys, xs = np.mgrid[:height, :width]
        things = []
        for x in (width // 4, 3 * width // 4):
            mask = np.hypot(xs - x, ys - height // 2) < 30
            image[mask] = rng.integers(0, 256, 3)
            box = (x - 29, height // 2 - 29, x + 29, height // 2 + 29)
            things.append(SimpleNamespace(mask=mask, box_xyxy=box, point_xy=(x, height // 2)))
        return SimpleNamespace(image=image, objects=tuple(things))


def test_a_batch_depends_on_its_seed_and_number_alone(tiny_mini):
    from train.mini.learning.segmenter_data import make_batch

    config = tiny_mini.model.config
    batches = [make_batch(Discs(), config, seed=1, index=index, size=6) for index in (0, 1, 2, 3, 4, 5, 6, 0)]
    assert torch.equal(batches[0].crops, batches[-1].crops) and torch.equal(
        batches[0].boxes, batches[-1].boxes
    )
    assert not torch.equal(batches[0].crops, batches[1].crops)
    for batch in batches:
        assert batch.crops.shape == (6, 3, 32, 32) and batch.crops.dtype == torch.uint8
        assert batch.masks.shape == (6, 32, 32) and batch.masks.min() >= 0 and batch.masks.max() <= 1
        area = (batch.boxes[:, 2:] - batch.boxes[:, :2] + 1).prod(1)  # a disc fills pi / 4 of its true box
        assert (batch.masks.sum((1, 2)) / area).median() == pytest.approx(0.785, abs=0.2)
        if batch.points is not None:
            assert batch.points.shape[:2] == batch.labels.shape
            rows = torch.arange(6)[:, None].expand_as(batch.labels)
            x, y = batch.points.round().long().clamp(0, 31).unbind(-1)
            inside = batch.masks[rows, y, x] > 0.5
            assert inside[batch.labels == 1].float().mean() > 0.6
            assert not inside[batch.labels == 0].float().sum() > 1  # a rounded pixel on the edge


def test_training_stops_resumes_and_learns(tmp_path: Path):
    from segzero.segmenter import MiniBackend, MiniSamConfig
    from train.mini.learning.segmenter_data import make_batch
    from train.mini.train_segmenter import Plan, Run, open_run

    config = MiniSamConfig(
        crop_px=32, widths=(8, 8, 16, 16), blocks=1, heads=2, decoder_dim=16, decoder_depth=1, decoder_heads=2
    )
    plan = Plan(begin=0, end=100, rate=5e-3, warmup=5, batch=8)
    run = Run(plan, seed=0, config=config)
    batches = [make_batch(Discs(), config, seed=0, index=index, size=8) for index in range(25)]
    losses = [run.train_step(batch)["mask"] for batch in batches[:24]]
    assert np.mean(losses[-6:]) < 0.8 * np.mean(losses[:6])
    run.seconds = 90.0
    run.save(tmp_path)
    again = Run(plan, seed=0, config=config)
    again.load_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert again.step == 24 and again.seconds == 90.0
    assert again.train_step(batches[24]) == run.train_step(batches[24])
    exported = MiniBackend.load(tmp_path / "model").model.state_dict()
    for name, value in again.averaged.state_dict().items():
        assert exported[name].shape == value.shape
    fresh = open_run(tmp_path / "new", plan, more=0, seed=3, device="cpu")
    assert (fresh.step, fresh.seed, fresh.plan) == (0, 3, plan)


def test_the_crops_are_coarse_at_first_and_full_in_the_end():
    from train.mini.train_segmenter import COARSE_PX, Plan, Run

    run = Run(Plan(begin=0, end=100), seed=0)
    assert run.crops.crop_px == COARSE_PX and run.crops.widths == run.model.config.widths
    run.seconds = 51.0
    assert run.crops == run.model.config
    assert [round(run.plan.learning_rate(10**6, s), 6) for s in (0, 50, 100, 999)] == [
        0.002,
        0.001,
        2e-05,
        2e-05,
    ]


def test_a_run_starts_from_exported_weights_of_any_crop(tmp_path, tiny_mini):
    from segzero.segmenter.mini_net import MiniSamConfig
    from train.mini.carry import resized
    from train.mini.train_segmenter import Plan, open_run

    tiny_mini.save(tmp_path / "weights")
    plan = Plan(begin=0, end=1)
    run = open_run(tmp_path, plan, more=0, seed=1, device="cpu", start=tmp_path / "weights")
    assert run.model.config == replace(tiny_mini.model.config, crop_px=MiniSamConfig.crop_px)
    known = resized(tiny_mini.model.state_dict(), MiniSamConfig.crop_px)
    for name, value in known.items():
        for model in (run.model, run.averaged):
            torch.testing.assert_close(model.state_dict()[name], value, atol=2**-10, rtol=2**-4)  # float8


def test_the_measured_iou_is_that_of_the_masks():
    from segzero.segmenter.crop import Window
    from train.mini.evaluate_segmenter import evaluate

    class Filled:
        """Its masks are the given boxes; after a click, the truth that it was shown."""

        def predict(self, state, boxes, points=None, labels=None):
            sides = (boxes[:, 2:] - boxes[:, :2]).max(1) + 1
            windows = [
                Window(float(b[0]), float(b[1]), float(side)) for b, side in zip(boxes, sides, strict=True)
            ]
            return (
                windows,
                np.ones((len(boxes), 4, 64, 64), np.float32),
                np.full((len(boxes), 4), 0.5, np.float32),
            )

        def decode(self, state, boxes, points=None, labels=None):
            masks = np.zeros((len(boxes), *state.shape[:2]), bool)
            for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
                mask[y1 : y2 + 1, x1 : x2 + 1] = points is None or points.shape[1] == 1
            return masks, np.full(len(boxes), 0.5, np.float32), None

    results = evaluate(Filled(), Discs(), scenes=3, progress=False)
    exact = results["prompts"]["true box and point"]
    assert (
        results["objects"] == 6 and exact["IoU of the given box"] == 1.0 and exact["share above 0.5"] == 1.0
    )
    assert exact["IoU"] == results["filled box IoU"] and exact["IoU after one click"] == 0
    assert exact["IoU at the first look"] == pytest.approx(results["filled box IoU"], abs=0.015)
    assert exact["error of its own estimate"] == pytest.approx(results["filled box IoU"] - 0.5, abs=1e-4)
    assert results["filled box IoU"] == pytest.approx(0.81, abs=0.005)  # 2821 pixels of 59 x 59


def test_a_click_goes_to_the_middle_of_the_largest_mistake():
    from train.mini.evaluate_segmenter import click_at_error

    truth, found = np.zeros((20, 40), bool), np.zeros((20, 40), bool)
    truth[:, :11] = True
    found[0:3, 30:33] = True
    assert click_at_error(found, truth) == ((5, 5), 1)
    assert click_at_error(np.ones((20, 40), bool), truth)[1] == 0
