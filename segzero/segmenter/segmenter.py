"""From boxes and points to masks: one face for SAM, SAM 2 and the bundled miniature.

    segmenter = Segmenter.load("sam2.1-large")        # or "sam-vit-h", a Hub id, a .pt file, a folder
    masks = segmenter.segment(picture, targets).masks                    # (N, H, W) bool

A backend (sam1.py, sam2.py, mini_sam.py) has
    low_res_px: int                                     side of its mask logits
    encode(rgb (H, W, 3) uint8) -> state                what it needs of a picture; expensive
    decode(state, boxes (N, 4) float32 xyxy, points (N, P, 2) float32 | None, labels (N, P) int64 | None)
        -> masks (N, H, W) bool, scores (N,) float32, low_res (N, h, w) float32 logits
    decode_each(states, the same) -> the same, masks as a list of (H, W) bool: of objects in N pictures, whose
        states they are; only of a backend that is faster so
    consider(state, the same for one object) -> masks (M, H, W) bool, scores (M,) float32
        all that the model weighs for it, first the one that decode takes
with every coordinate in pixels of the original picture, and labels 1 on the object, 0 beside it, -1 padding.
It keeps nothing between calls, so any number of threads may use one segmenter.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from segzero.contract import Point, Target, clip_point
from segzero.hub import ModelError, model_folder

__all__ = ["NAMES", "Masks", "ModelError", "Segmenter", "SegmenterError"]

NAMES = {
    "sam-vit-b": "facebook/sam-vit-base",
    "sam-vit-l": "facebook/sam-vit-large",
    "sam-vit-h": "facebook/sam-vit-huge",
    "sam2.0-tiny": "facebook/sam2-hiera-tiny",
    "sam2.0-small": "facebook/sam2-hiera-small",
    "sam2.0-base-plus": "facebook/sam2-hiera-base-plus",
    "sam2.0-large": "facebook/sam2-hiera-large",
    "sam2.1-tiny": "facebook/sam2.1-hiera-tiny",
    "sam2.1-small": "facebook/sam2.1-hiera-small",
    "sam2.1-base-plus": "facebook/sam2.1-hiera-base-plus",
    "sam2.1-large": "facebook/sam2.1-hiera-large",
    "sam3": "facebook/sam3",  # its owner grants access on request
    "edgetam": "yonigozlan/EdgeTAM-hf",
}
SAM2_LIKE = ("sam2", "sam3_tracker", "edgetam")
_INSIDE = {
    "sam2_video": "sam2",
    "sam3": "sam3_tracker",
    "sam3_video": "sam3_tracker",
    "sam3_tracker_video": "sam3_tracker",
    "edgetam_video": "edgetam",
}
"""What published checkpoints call themselves, and the model of single pictures that they hold."""
KEEP = 4  # pictures whose embeddings stay in memory (SAM: 4 MB each)
_Prompt = tuple[np.ndarray, np.ndarray, np.ndarray]  # box (4,) and points (P, 2) float32, labels (P,) int64
Click = tuple[Point, bool]  # (x, y) in picture pixels, and whether it lies on the object


class SegmenterError(ValueError):
    """A picture or target that cannot be segmented; one line that says why."""


@dataclass(frozen=True)
class Masks:
    """What `segment` found, in the order of the targets.

    masks: (N, H, W) bool in the original picture. scores: (N,) float32, the model's own IoU estimates.
    low_res: (N, h, w) float32 logits in the model's frame (SAM: the padded square picture; SAM 2: the
    squashed one; mini: the object's crop), for tools that want soft masks; None from stand-ins.
    """

    masks: np.ndarray
    scores: np.ndarray
    low_res: np.ndarray | None = None


class Segmenter:
    """A backend, and the embeddings of the last few pictures. Safe to share between threads."""

    def __init__(self, backend, *, keep: int = KEEP) -> None:
        """backend: see the module's docstring. keep: how many pictures' states to hold."""
        self.backend = backend
        self._keep = keep
        self._states: OrderedDict[tuple, Future] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def load(cls, model: str | Path, *, device: str | None = None) -> Segmenter:
        """Load weights.

        model: one of NAMES, a Hub id, an official checkpoint (SAM's .pth, SAM 2's .pt), or a folder with a
        config.json (SAM or SAM 2 of transformers, or the mini). device: default CUDA where there is one.

        Raises ModelError: one line with what was asked for, why it failed and what to do.
        """
        return cls(_load_backend(model, device))

    def embed(self, image: Image.Image) -> None:
        """Compute and keep what the model needs of a picture, unless it is there; returns when it is."""
        self._state(_pixels(image))

    def segment(
        self,
        image: Image.Image,
        targets: Sequence[Target],
        *,
        clicks: Sequence[Sequence[Click]] | None = None,
    ) -> Masks:
        """One mask a target, from its box, its positive points and further clicks.

        targets: in pixels of `image`; what reaches over its edge is clipped. clicks: for each target its own
        list of ((x, y), on the object?). The embedding is computed once a picture, however many calls.
        Raises SegmenterError for a box beside the picture or clicks that do not match the targets.
        """
        return self._decode([_prepared(image, targets, clicks)])[0]

    def segment_each(
        self, asked: Sequence[tuple[Image.Image, Sequence[Target]]]
    ) -> list[Masks | SegmenterError]:
        """`segment` of many pictures, together where that is faster; one that has an error has it here."""
        prepared = []
        for image, targets in asked:
            try:
                prepared.append(_prepared(image, targets))
            except SegmenterError as error:
                prepared.append(error)
        found = iter(self._decode([each for each in prepared if not isinstance(each, SegmenterError)]))
        return [each if isinstance(each, SegmenterError) else next(found) for each in prepared]

    def candidates(
        self, image: Image.Image, target: Target, clicks: Sequence[Click] = ()
    ) -> tuple[np.ndarray, np.ndarray]:
        """All masks that the model weighs for one target, first the one that `segment` takes; SAM has three.

        -> masks (M, H, W) bool, scores (M,) float32. Arguments and errors as of `segment`.
        """
        rgb = _pixels(image)
        box, points, labels = _prompt(target, clicks, (rgb.shape[1], rgb.shape[0]))
        pairs = (points[None], labels[None]) if len(points) else (None, None)
        return self.backend.consider(self._state(rgb), box[None], *pairs)

    def _decode(self, pictures: Sequence[tuple[np.ndarray, list[_Prompt]]]) -> list[Masks]:
        """Masks of each picture, from its pixels and prompts.

        Targets go in groups of as many points: SAM's padding point is a learned token, not neutral.
        """
        each_picture = getattr(self.backend, "decode_each", None)
        states = [self._state(rgb) if prompts else None for rgb, prompts in pictures]
        groups = defaultdict(list)
        for picture, (_, prompts) in enumerate(pictures):
            for index, (_, points, _) in enumerate(prompts):
                groups[len(points), None if each_picture else picture].append((picture, index))
        found = {}
        for (count, _), places in groups.items():
            prompts = [pictures[picture][1][index] for picture, index in places]
            boxes, points, labels = (np.stack(column) for column in zip(*prompts, strict=True))
            if not count:
                points = labels = None
            if each_picture:
                decoded = each_picture([states[picture] for picture, _ in places], boxes, points, labels)
            else:
                decoded = self.backend.decode(states[places[0][0]], boxes, points, labels)
            found |= dict(zip(places, zip(*decoded, strict=True), strict=True))
        return [
            self._masks(rgb, [found[picture, index] for index in range(len(prompts))])
            for picture, (rgb, prompts) in enumerate(pictures)
        ]

    def _masks(self, rgb: np.ndarray, found: Sequence[tuple]) -> Masks:
        """What was decoded of one picture, target by target, put together."""
        if not found:
            low_res = np.zeros((0,) + (self.backend.low_res_px,) * 2, np.float32)
            return Masks(np.zeros((0, *rgb.shape[:2]), bool), np.zeros(0, np.float32), low_res)
        masks, scores, low_res = zip(*found, strict=True)
        return Masks(np.stack(masks), np.array(scores, np.float32), np.stack(low_res))

    def _state(self, rgb: np.ndarray):
        """The backend's state of these pixels. Who asks first computes it; who asks meanwhile waits."""
        key = (rgb.shape, hashlib.blake2b(rgb, digest_size=16).digest())
        with self._lock:
            future = self._states.get(key)
            first = future is None
            if first:
                future = self._states[key] = Future()
                while len(self._states) > self._keep:
                    self._states.popitem(last=False)
            self._states.move_to_end(key)
        if first:
            try:
                future.set_result(self.backend.encode(rgb))
            except BaseException as error:
                with self._lock:
                    if self._states.get(key) is future:
                        del self._states[key]
                future.set_exception(error)
        return future.result()


def best_of_three(logits, ious):
    """Of each object's masks the one with the highest predicted IoU; for the SAM backends.

    logits (N, M, h, w), ious (N, M), torch tensors -> ious (N,), logits (N, h, w), float32.
    """
    score, best = ious.max(1)
    return score.float(), logits[list(range(len(best))), best].float()


def _pixels(image: Image.Image) -> np.ndarray:
    """(H, W, 3) uint8, C-contiguous. Raises SegmenterError for anything that is not an RGB picture."""
    rgb = np.array(image, order="C")  # a copy: states outlive what the caller does
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise SegmenterError(f"The segmenter takes 8-bit RGB pictures, not {rgb.dtype} of shape {rgb.shape}.")
    return rgb


def _prepared(
    image: Image.Image, targets: Sequence[Target], clicks: Sequence[Sequence[Click]] | None = None
) -> tuple[np.ndarray, list[_Prompt]]:
    """The pixels and the prompts of a picture. Raises SegmenterError."""
    rgb = _pixels(image)
    if clicks is not None and len(clicks) != len(targets):
        raise SegmenterError(f"There are {len(targets)} targets but {len(clicks)} lists of clicks.")
    wh = rgb.shape[1], rgb.shape[0]
    return rgb, [_prompt(target, clicks[i] if clicks else (), wh) for i, target in enumerate(targets)]


def _prompt(target: Target, clicks: Sequence[Click], image_wh: tuple[int, int]) -> _Prompt:
    """-> box (4,) float32, points (P, 2) float32, labels (P,) int64, all inside the picture."""
    (x1, y1, x2, y2), (width, height) = target.box_xyxy, image_wh
    if x2 < 0 or y2 < 0 or x1 > width or y1 > height:
        raise SegmenterError(
            f"The box {target.box_xyxy} lies beside the picture of {width} x {height} pixels."
        )
    box = [min(max(x1, 0), width), min(max(y1, 0), height), min(x2, width), min(y2, height)]
    marked = [(point, True) for point in target.points_xy] + list(clicks)
    if not all(math.isfinite(value) for point, _ in marked for value in point):
        raise SegmenterError(f"A click is two finite numbers, not one of {[point for point, _ in marked]}.")
    points = np.array([clip_point(point, image_wh) for point, _ in marked], np.float32).reshape(-1, 2)
    return np.array(box, np.float32), points, np.array([int(on) for _, on in marked], np.int64)


def _load_backend(model: str | Path, device: str | None):
    """The backend for what `model` turns out to be. Raises ModelError."""
    path = os.path.expanduser(model)
    is_file = path.endswith((".pth", ".pt"))
    if is_file and not os.path.isfile(path):
        raise ModelError(
            f"{model} cannot be loaded: there is no such file. Name a SAM checkpoint, or a preset."
        )
    folder = None if is_file else model_folder(NAMES.get(str(model), model))
    # Only now: the libraries take seconds, and each user needs one of them.
    import torch

    from segzero.weights import named, usable_device

    device = usable_device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    with named(f"{model} cannot be loaded as a segmenter", "Get its files again, or name another one"):
        if is_file:
            from segzero.segmenter.checkpoint import read

            kind, weights = read(path)
            return _backend(kind).from_weights(weights, device)
        kind = _model_type(folder, model)
        more = {"kind": kind} if kind in SAM2_LIKE else {}
        return _backend(kind).load(folder, device, **more)


def _backend(kind: str) -> type:
    """The class for a model type."""
    if kind == "mini_sam":
        from segzero.segmenter.mini_sam import MiniBackend as Backend
    elif kind == "sam":
        from segzero.segmenter.sam1 import Sam1Backend as Backend
    else:
        from segzero.segmenter.sam2 import Sam2Backend as Backend
    return Backend


def _model_type(folder: Path, model: str | Path) -> str:
    """What the folder's config.json says it is: "mini_sam", "sam" or of SAM2_LIKE. Raises ModelError."""
    from segzero.weights import named, reading

    with named(f"{model} holds no segmenter", "Name a folder with a config.json"), reading("its config.json"):
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = config.get("model_type") if isinstance(config, dict) else None
    kind = _INSIDE.get(kind, kind)
    if kind not in ("mini_sam", "sam", *SAM2_LIKE):
        names = ", ".join(NAMES)
        raise ModelError(f"{model} is a model of type {kind}, which is no segmenter. Choose one of {names}.")
    return kind
