"""How good the mini segmenter is: mean IoU on composed scenes, for exact and for sloppy prompts.

python -m train.mini.train_segmenter --evaluate --scenes 200
"""

from __future__ import annotations

from collections import defaultdict

import cv2
import numpy as np
from tqdm import tqdm

from segzero.segmenter import MiniBackend, paste
from train.mini.evaluate import iou
from train.mini.learning.segmenter_data import SIDES_PX, SMALLEST_PX, iou_of_boxes, some_pixel

SEED = 20_250_306


def prompts_of(scene, things, rng: np.random.Generator) -> dict[str, tuple]:
    """Kinds of prompt for the objects of one scene: (boxes, points, labels), None for no points."""
    height, width = scene.image.shape[:2]
    boxes = np.array([thing.box_xyxy for thing in things], np.float32)
    points = np.array([thing.point_xy for thing in things], np.float32)[:, None]
    ones = np.ones((len(things), 1), np.int64)
    sizes = np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2)
    limit = np.tile((width, height), 2) - 1
    kinds = {"true box and point": (boxes, points, ones), "true box alone": (boxes, None, None)}
    for percent in (4, 10, 18):
        moved = np.clip(boxes + rng.normal(0, percent / 100, boxes.shape) * sizes, 0, limit)
        moved = np.concatenate(
            [np.minimum(moved[:, :2], moved[:, 2:]), np.maximum(moved[:, :2], moved[:, 2:])], 1
        )
        kinds[f"edges off by {percent} %"] = (moved.astype(np.float32), points, ones)
    inside = np.array([some_pixel(thing.mask, rng) for thing in things], np.float32)[:, None]
    kinds["edges off by 10 %, any point inside"] = (kinds["edges off by 10 %"][0], inside, ones)
    return kinds


def click_at_error(found: np.ndarray, truth: np.ndarray) -> tuple[tuple[int, int], int]:
    """Where a user would click: the middle of the largest mistake, as ((x, y), label)."""
    wrong = np.pad(found != truth, 1).astype(np.uint8)
    y, x = divmod(int(cv2.distanceTransform(wrong, cv2.DIST_L2, 5)[1:-1, 1:-1].argmax()), truth.shape[1])
    return (x, y), int(truth[y, x])


def clicked(backend: MiniBackend, rgb: np.ndarray, things, prompt, masks: np.ndarray) -> np.ndarray:
    """The masks after one click each, (N, H, W) bool. prompt: (boxes, points, labels) that gave `masks`."""
    clicks = [click_at_error(mask, thing.mask) for mask, thing in zip(masks, things, strict=True)]
    boxes, points, labels = prompt
    points = np.concatenate([points, np.array([[xy] for xy, _ in clicks], np.float32)], 1)
    labels = np.concatenate([labels, np.array([[label] for _, label in clicks])], 1)
    return backend.decode(rgb, boxes, points, labels)[0]


def measure_scene(backend: MiniBackend, scene, things, rng: np.random.Generator, rows: dict) -> None:
    """Add one row of numbers per object to rows[kind of prompt], a dict of lists by column."""
    wh = scene.image.shape[1::-1]
    for kind, prompt in prompts_of(scene, things, rng).items():
        masks, estimates, _ = backend.decode(scene.image, *prompt)
        windows, logits, ious = backend.predict(scene.image, *prompt)
        after = masks if prompt[1] is None else clicked(backend, scene.image, things, prompt, masks)
        for i, thing in enumerate(things):
            best = logits[i, 1 + ious[i, 1:].argmax()]
            score = iou(masks[i], thing.mask)
            columns = {
                "IoU": score,
                "share above 0.5": score > 0.5,
                "IoU after one click": iou(after[i], thing.mask),
                "IoU at the first look": iou(paste(logits[i, 0], windows[i], wh), thing.mask),
                "IoU at the first look, best of three": iou(paste(best, windows[i], wh), thing.mask),
                "IoU of the given box": iou_of_boxes(prompt[0][i], np.array(thing.box_xyxy)),
                "error of its own estimate": abs(score - estimates[i]),
            }
            for name, value in columns.items():
                rows[kind][name].append(float(value))


def evaluate(backend: MiniBackend, composer, *, scenes: int, progress: bool = True) -> dict:
    """Means over all objects of `scenes` scenes, by kind of prompt; and what filling the box gives."""
    rng = np.random.default_rng(SEED)
    rows, filled = defaultdict(lambda: defaultdict(list)), []
    for _ in tqdm(range(scenes), desc="scenes", disable=not progress):
        wh = tuple(int(side) for side in rng.integers(SIDES_PX[0], SIDES_PX[1] + 1, 2))
        scene = composer.scene(rng, wh)
        things = [thing for thing in scene.objects if thing.mask.sum() >= SMALLEST_PX]
        if not things:
            continue
        measure_scene(backend, scene, things, rng, rows)
        for thing in things:
            x0, y0, x1, y1 = thing.box_xyxy
            filled.append(thing.mask.sum() / ((x1 - x0 + 1) * (y1 - y0 + 1)))
    prompts = {
        kind: {name: round(float(np.mean(values)), 4) for name, values in columns.items()}
        for kind, columns in rows.items()
    }
    return {
        "scenes": scenes,
        "objects": len(filled),
        "filled box IoU": round(float(np.mean(filled)), 4),
        "prompts": prompts,
    }
