"""Training examples for the mini segmenter: crops of composed scenes with prompts as sloppy as a reasoner's.

    batch = make_batch(composer, MiniSamConfig(), seed=0, index=0, size=32)

A batch is a pure function of (seed, index), so a resumed run goes on with the examples it would have had.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from segzero.segmenter import PADDING_RGB, MiniSamConfig, crop_prompts, cut

SIDES_PX = (224, 480)  # a scene's width and height are drawn from this range, independently
# How many points a batch's examples carry; one is what the multi dialect gives, more is what `refine` gives.
POINT_COUNTS = ((0, 0.10), (1, 0.55), (2, 0.15), (3, 0.10), (5, 0.11))
# Standard deviation of each box edge, as a share of the box's size, and how often; the rest of the boxes are
# moved and resized as a whole.
EDGE_NOISE = ((0.0, 0.12), (0.04, 0.28), (0.10, 0.28), (0.18, 0.16))


WIDE = 0.1  # share of boxes drawn around a neighbour as well
CLOSE_UP = 0.12  # share of examples in which the object fills the picture
SMALLEST_PX = 60  # visible pixels below which an object is not asked about


@dataclass(frozen=True)
class Thing:
    """One object in a picture: image (H, W, 3), mask and others (H, W) bool, others being all its neighbours.

    box_xyxy: inclusive; point_xy: its middle; neighbours: the boxes of the others.
    """

    image: np.ndarray
    mask: np.ndarray
    others: np.ndarray
    box_xyxy: tuple[int, int, int, int]
    point_xy: tuple[int, int]
    neighbours: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class Batch:
    """crops (B, 3, S, S) uint8; masks (B, S, S) in [0, 1]; boxes (B, 4) and points (B, P, 2) in crop px;
    labels (B, P). No points, no labels: None."""

    crops: Tensor
    masks: Tensor
    boxes: Tensor
    points: Tensor | None
    labels: Tensor | None


def draw(rng: np.random.Generator, table) -> float | int | None:
    """One value of ((value, probability), ...), None with what probability is left."""
    ticket = rng.random()
    for value, share in table:
        ticket -= share
        if ticket < 0:
            return value
    return None


def sloppy_box(box_xyxy, rng: np.random.Generator, image_wh: tuple[int, int]) -> np.ndarray:
    """The box as a reasoner might give it: edges off, or moved and resized; IoU with the truth >= 0.35."""
    box = np.asarray(box_xyxy, np.float64)
    size = np.tile(box[2:] - box[:2] + 1, 2)
    limit = np.tile(image_wh, 2) - 1.0
    for _ in range(8):
        sigma = draw(rng, EDGE_NOISE)
        if sigma is None:
            grow = np.exp(rng.normal(0, 0.2, 2)) - 1
            moved = box + np.tile(rng.normal(0, 0.13, 2), 2) * size + np.r_[-grow, grow] / 2 * size
        else:
            moved = box + rng.normal(0, sigma, 4) * size
        moved = np.clip(moved, 0, limit)
        if iou_of_boxes(moved, box) >= 0.35:
            return moved
    return box


def iou_of_boxes(a: np.ndarray, b: np.ndarray) -> float:
    """Pixel-inclusive IoU of two xyxy boxes; 0 when one is turned inside out."""
    side = lambda box: np.maximum(box[2:] - box[:2] + 1, 0)  # noqa: E731
    inner = side(np.r_[np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])]).prod()
    return float(inner / (side(a).prod() + side(b).prod() - inner)) if (a[2:] > a[:2]).all() else 0.0


def some_pixel(where: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """A random (x, y) where the (H, W) bool map is true, or None."""
    inside = np.flatnonzero(where)
    if not len(inside):
        return None
    y, x = divmod(int(inside[rng.integers(len(inside))]), where.shape[1])
    return np.array([x, y], np.float64)


def first_point(mask: np.ndarray, point_xy, size_px: float, rng: np.random.Generator) -> np.ndarray:
    """The reasoner's point: mostly the object's middle, sometimes anywhere in it, sometimes a little off."""
    kind = rng.random()
    if kind < 0.25:
        return some_pixel(mask, rng)
    return np.asarray(point_xy, np.float64) + rng.normal(0, 0.03 if kind < 0.85 else 0.18, 2) * size_px


def wide_box(thing: Thing, rng: np.random.Generator) -> np.ndarray | None:
    """A box around the object and a neighbour, as when the reasoner wavers between two; the point decides.

    None where no neighbour is near enough for the box to still be mostly about the object.
    """
    own = np.asarray(thing.box_xyxy, np.float64)
    for other in rng.permutation(np.array(thing.neighbours, np.float64).reshape(-1, 4)):
        both = np.r_[np.minimum(own[:2], other[:2]), np.maximum(own[2:], other[2:])]
        if iou_of_boxes(both, own) >= 0.25:
            return both
    return None


def make_prompts(thing: Thing, count: int, rng: np.random.Generator):
    """A sloppy box and `count` points with labels: the first positive, the rest what a user might click.

    -> box (4,), points (count, 2), labels (count,), all in pixels of the picture and inside it.
    """
    height, width = thing.mask.shape
    box = wide_box(thing, rng) if count and rng.random() < WIDE else None
    if box is None:
        box = sloppy_box(thing.box_xyxy, rng, (width, height))
    size = float(max(thing.box_xyxy[2] - thing.box_xyxy[0], thing.box_xyxy[3] - thing.box_xyxy[1])) + 1
    points, labels = [], []
    margin = int(0.3 * size)
    x0, y0 = np.maximum(np.floor(box[:2]).astype(int) - margin, 0)
    x1, y1 = np.ceil(box[2:]).astype(int) + margin + 1
    for index in range(count):
        if index == 0:
            points.append(first_point(thing.mask, thing.point_xy, size, rng))
            labels.append(1)
            continue
        label = int(rng.random() < 0.5)
        area = thing.mask if label else thing.others if rng.random() < 0.6 else ~thing.mask
        pixel = some_pixel(area[y0:y1, x0:x1], rng)
        points.append(np.zeros(2) if pixel is None else pixel + (x0, y0))
        labels.append(-1 if pixel is None else label)
    points = np.array(points, np.float64).reshape(count, 2)
    return box, np.clip(points, 0, (width - 1, height - 1)), np.array(labels, np.int64)


def close_up(thing: Thing, rng: np.random.Generator) -> Thing | None:
    """A view that the object fills, or even overflows, as in a picture of one thing, if enough is left."""
    height, width = thing.mask.shape
    x0, y0, x1, y1 = thing.box_xyxy
    w, h = x1 - x0 + 1, y1 - y0 + 1
    left, right = rng.uniform(-0.1, 0.25, 2) * w
    top, bottom = rng.uniform(-0.1, 0.25, 2) * h
    rows = slice(max(0, int(y0 - top)), min(height, int(y1 + 1 + bottom)))
    columns = slice(max(0, int(x0 - left)), min(width, int(x1 + 1 + right)))
    mask = thing.mask[rows, columns]
    if mask.sum() < SMALLEST_PX:
        return None
    ys, xs = np.nonzero(mask)
    return Thing(
        image=thing.image[rows, columns],
        mask=mask,
        others=thing.others[rows, columns],
        box_xyxy=(int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())),
        point_xy=(thing.point_xy[0] - columns.start, thing.point_xy[1] - rows.start),
        neighbours=(),
    )


def recolour(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light, contrast, tint, blur, noise or grey: (S, S, 3) uint8 -> the same."""
    if rng.random() < 0.6:
        gain = np.exp(rng.normal(0, 0.12) + rng.normal(0, 0.05, 3))
        offset = rng.normal(0, 10)
        steps = np.arange(256)[:, None]
        table = np.clip((steps - 128) * gain + 128 + offset, 0, 255).astype(np.uint8)
        crop = cv2.LUT(crop, table.reshape(256, 1, 3))
    kind = rng.random()
    if kind < 0.05:
        crop = np.repeat(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    elif kind < 0.13:
        crop = cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.5, 1.5))
    elif kind < 0.25:
        noise = rng.integers(-12, 13, crop.shape, np.int16)
        crop = np.clip(crop.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    return crop


def make_example(thing: Thing, count: int, config: MiniSamConfig, rng: np.random.Generator):
    """One object -> crop (S, S, 3), mask (S, S) 0..255, box (4,), points, labels; in the crop's frame."""
    box, points, labels = make_prompts(thing, count, rng)
    (window,), boxes, moved = crop_prompts(box[None], points[None], labels[None], config)
    crop = recolour(cut(thing.image, window, config.crop_px, PADDING_RGB), rng)
    target = cut(thing.mask.astype(np.uint8) * 255, window, config.crop_px)
    box, points = boxes[0], moved[0]
    if rng.random() < 0.5:
        crop, target = crop[:, ::-1], target[:, ::-1]
        mirror = config.crop_px - 1
        box = np.array([mirror - box[2], box[1], mirror - box[0], box[3]], np.float32)
        points = np.stack([mirror - points[:, 0], points[:, 1]], 1)
    return crop, target, box, points, labels


def things_of(scene) -> list[Thing]:
    """Every object of a composed scene that shows enough of itself."""
    everything = np.zeros(scene.image.shape[:2], np.int16)
    for shown in scene.objects:
        everything += shown.mask
    return [
        Thing(
            image=scene.image,
            mask=shown.mask,
            others=(everything - shown.mask) > 0,
            box_xyxy=shown.box_xyxy,
            point_xy=shown.point_xy,
            neighbours=tuple(other.box_xyxy for other in scene.objects if other is not shown),
        )
        for shown in scene.objects
        if shown.mask.sum() >= SMALLEST_PX
    ]


def examples(composer, config: MiniSamConfig, count: int, rng: np.random.Generator):
    """Endless examples with `count` points each: every object of one composed scene after another."""
    while True:
        wh = tuple(int(side) for side in rng.integers(SIDES_PX[0], SIDES_PX[1] + 1, 2))
        for thing in things_of(composer.scene(rng, wh)):
            closer = close_up(thing, rng) if rng.random() < CLOSE_UP else None
            yield make_example(closer or thing, count, config, rng)


def make_batch(composer, config: MiniSamConfig, *, seed: int, index: int, size: int) -> Batch:
    """Batch number `index` of the run with this seed; `size` examples."""
    rng = np.random.default_rng([seed, index])
    count = draw(rng, POINT_COUNTS)
    source = examples(composer, config, count, rng)
    rows = [next(source) for _ in range(size)]
    crops, masks, boxes, points, labels = (np.stack(column) for column in zip(*rows, strict=True))
    return Batch(
        crops=torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous(),
        masks=torch.from_numpy(masks).float() / 255,
        boxes=torch.from_numpy(boxes),
        points=torch.from_numpy(points) if count else None,
        labels=torch.from_numpy(labels) if count else None,
    )


class Batches(torch.utils.data.IterableDataset):
    """make_batch for index = first, first + 1, ...; for a DataLoader with at most ONE worker."""

    def __init__(self, composer, config: MiniSamConfig, *, seed: int, first: int, size: int):
        self.composer, self.config, self.seed, self.first, self.size = composer, config, seed, first, size

    def __iter__(self):
        cv2.setNumThreads(1)
        index = self.first
        while True:
            yield make_batch(self.composer, self.config, seed=self.seed, index=index, size=self.size)
            index += 1
