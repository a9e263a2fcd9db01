"""How good the mini segmenter is: mean IoU on composed scenes, for exact and for sloppy prompts.

python -m train.mini.train_segmenter --evaluate --scenes 200
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from tqdm import tqdm

from segzero.crop import paste
from segzero.mini_sam import MiniBackend
from train.mini.segmenter_data import SIDES_PX, iou_of_boxes, some_pixel

SEED = 20_250_306
SMALLEST_PX = 60  # visible pixels below which an object is not asked about


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


def mask_iou(found: np.ndarray, truth: np.ndarray) -> float:
    """(H, W) bool, (H, W) bool -> intersection over union."""
    return float((found & truth).sum() / max((found | truth).sum(), 1))


def evaluate(backend: MiniBackend, composer, *, scenes: int, progress: bool = True) -> dict:
    """Mean IoU over all objects of `scenes` scenes, by kind of prompt and by mask token; rounded."""
    rng = np.random.default_rng(SEED)
    scores, boxes_iou, baseline, error = defaultdict(list), defaultdict(list), [], []
    for _ in tqdm(range(scenes), desc="scenes", disable=not progress):
        wh = tuple(int(side) for side in rng.integers(SIDES_PX[0], SIDES_PX[1] + 1, 2))
        scene = composer.scene(rng, wh)
        things = [thing for thing in scene.objects if thing.mask.sum() >= SMALLEST_PX]
        if not things:
            continue
        for kind, (boxes, points, labels) in prompts_of(scene, things, rng).items():
            windows, logits, ious = backend.predict(scene.image, boxes, points, labels)
            for i, thing in enumerate(things):
                found = mask_iou(paste(logits[i, 0], windows[i], wh), thing.mask)
                best = mask_iou(paste(logits[i, 1 + ious[i, 1:].argmax()], windows[i], wh), thing.mask)
                scores[kind].append((found, best))
                error.append(abs(found - ious[i, 0].clip(0, 1)))
                boxes_iou[kind].append(iou_of_boxes(boxes[i], np.array(thing.box_xyxy)))
        for thing in things:
            x0, y0, x1, y1 = thing.box_xyxy
            baseline.append(thing.mask.sum() / ((x1 - x0 + 1) * (y1 - y0 + 1)))
    table = {
        kind: {
            "IoU": round(float(np.mean([a for a, _ in rows])), 4),
            "IoU, best of three by own score": round(float(np.mean([b for _, b in rows])), 4),
            "share above 0.5": round(float(np.mean([a > 0.5 for a, _ in rows])), 4),
            "IoU of the given box": round(float(np.mean(boxes_iou[kind])), 4),
        }
        for kind, rows in scores.items()
    }
    return {
        "scenes": scenes,
        "objects": len(baseline),
        "prompts": table,
        "filled box IoU": round(float(np.mean(baseline)), 4),
        "mean error of the model's own IoU": round(float(np.mean(error)), 4),
    }
