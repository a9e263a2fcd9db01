"""The bundled miniature segmenter: segment_anything's own parts around a small convolutional pyramid.

    segmenter = Segmenter.load("assets/mini/segmenter")        # what `segzero.load("mini")` does
    python -m train.mini.train_segmenter --minutes 40          # how its weights were made

It answers the same call as SAM (box + points -> mask, own IoU estimate) but it is not stock SAM: instead of
embedding the whole picture once it looks at one square crop per object, because at this size pixels spent on
the object buy far more than pixels spent on the picture. `encode` therefore only keeps the pixels; `decode`
cuts all crops of a call, from however many pictures, and runs them in batches. Each object is seen twice,
nearer and, mirrored, farther than in training, and the mean of both views' logits counts.

Frames: "picture" is the original image, "crop" the square the network sees; crop.py maps between the two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from segzero.contract import box_iou, mask_to_box
from segzero.segmenter.crop import Window, cut, paste, seen_in, to_crop, window_around
from segzero.segmenter.mini_net import MiniSam, MiniSamConfig
from segzero.weights import fill, place, read_safetensors, reading

__all__ = ["PADDING_RGB", "MiniBackend", "MiniSam", "MiniSamConfig", "crop_prompts", "in_float8"]

PADDING_RGB = (128, 128, 128)  # where a crop reaches over the picture's edge; 0 once normalised
AT_ONCE = 16  # crops per forward pass: bounds memory for an answer with hundreds of targets
AGREED = 0.75  # IoU of the box given and the box of the mask found, from which one look is enough
NEAR, FAR = 0.9, 1.125  # the two views' windows, as shares of the one that the network is trained with


def in_float8(weights: torch.Tensor) -> torch.Tensor:
    """Matrices and kernels in float8 (e4m3: 4 significant bits, or multiples of 1/512 below 1/64).

    A mini's lie well within its +-448. All else stays as it is. Both minis are bundled so, because a
    repository keeps every version of its weights.
    """
    return weights.to(torch.float8_e4m3fn) if weights.ndim > 1 else weights


def crop_prompts(
    boxes: np.ndarray,
    points: np.ndarray | None,
    labels: np.ndarray | None,
    config: MiniSamConfig,
    zoom: float = 1.0,
) -> tuple[list[Window], np.ndarray, np.ndarray | None]:
    """Prompts in picture px (N, 4), (N, P, 2), (N, P) -> the objects' windows; boxes, points in the crops.

    zoom: the windows' sides as a share of the config's.
    """
    windows = []
    for index, box in enumerate(boxes):
        positive = points[index][labels[index] == 1] if points is not None else np.zeros((0, 2))
        windows.append(window_around(box, positive, config.crop_scale * zoom))
    size = config.crop_px
    corners = [to_crop(box.reshape(2, 2), window, size) for box, window in zip(boxes, windows, strict=True)]
    if points is not None:
        points = np.stack([to_crop(xy, window, size) for xy, window in zip(points, windows, strict=True)])
    return windows, np.stack(corners).reshape(-1, 4), points


class MiniBackend:
    """encode / decode as every backend of `Segmenter` has them, around one `MiniSam`; holds no picture."""

    def __init__(self, model: MiniSam, device: str = "cpu"):
        self.model = model.eval().to(device, memory_format=torch.channels_last)  # as its inputs are
        self.device = device
        self.low_res_px = model.config.crop_px

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> MiniBackend:
        """A folder with config.json and model.safetensors, as `save` writes it. Raises WeightsError."""
        with reading("its config.json"):
            values = dict(json.loads((Path(folder) / "config.json").read_text(encoding="utf-8")))
            values["widths"] = tuple(values["widths"])
            values.pop("model_type", None)
            config = MiniSamConfig(**values)
        model = MiniSam(config)
        fill(model, read_safetensors(folder))  # becomes fp32 here
        return cls(place(model, device), device)

    def save(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors (float8 and fp16) for `load`."""
        from safetensors.torch import save_file

        Path(folder).mkdir(parents=True, exist_ok=True)
        config = {"model_type": "mini_sam", **asdict(self.model.config)}
        (Path(folder) / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        weights = {name: value.cpu().contiguous() for name, value in self.model.state_dict().items()}
        weights = {
            name: in_float8(value.half()) if value.is_floating_point() else value
            for name, value in weights.items()
        }
        save_file(weights, Path(folder) / "model.safetensors", metadata={"format": "pt"})

    def encode(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> the state that `decode` takes: the pixels themselves, see the top."""
        return rgb

    def predict(self, state, boxes: np.ndarray, points: np.ndarray | None, labels: np.ndarray | None):
        """-> windows, logits (N, 1 + multimask, S, S) in each window, iou (N, 1 + multimask); float32."""
        return self._predict([state] * len(boxes), boxes, points, labels)

    def _predict(self, states: Sequence, boxes: np.ndarray, points, labels):
        """`predict` of objects each in a picture of its own: the mean of two views, in the nearer's frame."""
        windows, logits, ious = self._view(states, boxes, points, labels, NEAR)
        further, others, estimates = self._view(states, boxes, points, labels, FAR, mirrored=True)
        moved = [seen_in(near, far, each) for near, far, each in zip(windows, further, others, strict=True)]
        return windows, (logits + np.stack(moved)) / 2, (ious + estimates) / 2

    def _view(self, states: Sequence, boxes: np.ndarray, points, labels, zoom: float, mirrored: bool = False):
        """What the network says of crops at one zoom; with `mirrored` it is shown left for right."""
        config = self.model.config
        windows, boxes, points = crop_prompts(boxes, points, labels, config, zoom)
        if mirrored:
            boxes[:, [0, 2]] = config.crop_px - 1 - boxes[:, [2, 0]]
            if points is not None:
                points[..., 0] = config.crop_px - 1 - points[..., 0]
        turn = -1 if mirrored else 1
        logits, ious = [], []
        for start in range(0, len(windows), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            pairs = zip(states[part], windows[part], strict=True)
            crops = np.stack([cut(state, window, config.crop_px, PADDING_RGB) for state, window in pairs])
            crops = np.ascontiguousarray(crops[:, :, ::turn])
            inputs = [torch.from_numpy(crops).permute(0, 3, 1, 2), torch.from_numpy(boxes[part])]
            if points is not None:
                inputs += [torch.from_numpy(points[part]), torch.from_numpy(labels[part])]
            with torch.inference_mode():
                output = self.model(*(value.to(self.device) for value in inputs))
            logits.append(output[0].float().cpu().numpy()[..., ::turn])
            ious.append(output[1].float().cpu().numpy())
        return windows, np.concatenate(logits), np.concatenate(ious)

    def decode(
        self, state, boxes: np.ndarray, points: np.ndarray | None = None, labels: np.ndarray | None = None
    ):
        """See segzero.segmenter; scores lie in [0, 1], and low_res (N, S, S) is in the frame of each CROP."""
        masks, scores, low_res = self.decode_each([state] * len(boxes), boxes, points, labels)
        return np.stack(masks), scores, low_res

    def decode_each(
        self,
        states: Sequence,
        boxes: np.ndarray,
        points: np.ndarray | None = None,
        labels: np.ndarray | None = None,
    ):
        """`decode` of objects each in a picture of its own; masks is a list."""
        looks = self._better(states, boxes, points, labels)
        scores = np.array([ious[0] for _, _, _, ious in looks], np.float32)
        return [mask for mask, *_ in looks], scores, np.stack([logits[0] for _, _, logits, _ in looks])

    def consider(
        self, state, boxes: np.ndarray, points: np.ndarray | None = None, labels: np.ndarray | None = None
    ):
        """All masks of one object, boxes (1, 4), the one that `decode` takes first: (M, H, W) bool, (M,)."""
        ((mask, window, logits, ious),) = self._better([state], boxes, points, labels)
        others = [paste(each, window, mask.shape[::-1]) for each in logits[1:]]
        return np.stack([mask, *others]), ious

    def _better(self, states: Sequence, boxes: np.ndarray, points, labels) -> list[tuple]:
        """The look that counts at each object, as `_look` gives it.

        Where the mask found does not fill the box given, the box was off: a second look, at the mask's own
        box, is worth it, and counts where the network thinks better of its mask. An exact box nearly always
        agrees and is looked at once.
        """
        looks = self._look(states, boxes, points, labels)
        found = np.stack([_box_of(mask, box) for (mask, *_), box in zip(looks, boxes, strict=True)])
        pairs = zip(boxes.tolist(), found.tolist(), strict=True)
        again = [i for i, (box, other) in enumerate(pairs) if box_iou(box, other, inclusive=True) < AGREED]
        if again:
            prompts = [None if part is None else part[again] for part in (points, labels)]
            seconds = self._look([states[i] for i in again], found[again], *prompts)
            for index, second in zip(again, seconds, strict=True):
                if second[-1][0] > looks[index][-1][0]:
                    looks[index] = second
        return looks

    def _look(self, states: Sequence, boxes: np.ndarray, points, labels) -> list[tuple]:
        """One look at each object: its mask (H, W), its window, logits (1 + multimask, S, S), iou in [0, 1].

        The mask is token 0's: at this size it beats the best-scored of the other three.
        """
        seen = zip(states, *self._predict(states, boxes, points, labels), strict=True)
        return [
            (paste(logits[0], window, state.shape[1::-1]), window, logits, ious.clip(0, 1))
            for state, window, logits, ious in seen
        ]


def _box_of(mask: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """(4,) float32: the inclusive box of a (H, W) bool mask, or `otherwise` when the mask is empty."""
    return np.array(mask_to_box(mask), np.float32) if mask.any() else otherwise
