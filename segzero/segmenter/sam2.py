"""SAM 2, 2.1 and what is built like it, through transformers: SAM 3's tracker and EdgeTAM.

The published Seg-Zero results were made with SAM 2.0 large.

Segmenter.load("sam2.0-large")                    # facebook/sam2-hiera-large
Segmenter.load("sam2_hiera_large.pt")             # an official checkpoint
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    EdgeTamModel,
    PreTrainedModel,
    Sam2ImageProcessor,
    Sam2Model,
    Sam2Processor,
    Sam3ImageProcessor,
    Sam3TrackerModel,
    Sam3TrackerProcessor,
)

from segzero.segmenter.sam2_official import build
from segzero.segmenter.segmenter import best_of_three
from segzero.weights import WeightsError, place, pretrained, reading

AT_ONCE = 32  # objects decoded together: bounds memory for an answer with hundreds
KINDS = {
    "sam2": (Sam2Model, Sam2ImageProcessor, Sam2Processor),
    "sam3_tracker": (Sam3TrackerModel, Sam3ImageProcessor, Sam3TrackerProcessor),
    "edgetam": (EdgeTamModel, Sam2ImageProcessor, Sam2Processor),  # its backbone wants the package timm
}
"""By the model type in a config.json: model, image processor and processor, which all take the same calls."""
TIES = {
    "prompt_encoder.shared_embedding.positional_embedding": "shared_image_embedding.positional_embedding",
    "shared_image_embedding.positional_embedding": "prompt_encoder.shared_embedding.positional_embedding",
}
"""One tensor in SAM 2, two in transformers 5; what transformers 4 saved holds it once."""


class Sam2Backend:
    """encode / decode as every backend of `Segmenter` has them, around a model of KINDS; holds no picture."""

    def __init__(self, model: PreTrainedModel, processor: Sam2Processor, device: str = "cpu") -> None:
        self.model = model.eval().to(device)
        self.processor = processor
        self.device = torch.device(device)
        self.low_res_px = 4 * model.prompt_encoder.image_embedding_size[0]

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu", kind: str = "sam2") -> Sam2Backend:
        """folder: a model of a kind (or a video model around one) and its processor. Raises WeightsError."""
        model_class, image_class, _ = KINDS[kind]
        model = pretrained(model_class, folder, ties=TIES, dtype=torch.float32)
        with reading(
            "its image processor"
        ):  # by its class: the type's name in the file changes over the years
            images = image_class.from_pretrained(folder, local_files_only=True)
        return cls._of(model, images, device, kind)

    @classmethod
    def from_weights(cls, weights: dict[str, Tensor], device: str = "cpu") -> Sam2Backend:
        """weights: by their official names, as checkpoint.read gives them. Raises WeightsError."""
        return cls._of(build(weights), Sam2ImageProcessor(), device)

    @classmethod
    def _of(
        cls, model: PreTrainedModel, images: Sam2ImageProcessor, device: str, kind: str = "sam2"
    ) -> Sam2Backend:
        side = model.prompt_encoder.input_image_size
        if (images.size["height"], images.size["width"]) != (side, side):
            size = f"{images.size['height']} x {images.size['width']}"
            raise WeightsError(
                f"its image processor makes {size} pixels of a picture, its model wants {side}"
            )
        return cls(place(model, device), KINDS[kind][2](images), device)

    def encode(self, rgb: np.ndarray) -> tuple[list[Tensor], tuple[int, int]]:
        """(H, W, 3) uint8 RGB -> (feature maps at strides 4, 8, 16, float32, original (H, W)).

        Resized as floats, as the sam2 package does it: rounded to 8 bits on the way, masks differ at edges.
        """
        pixels = torch.from_numpy(rgb).permute(2, 0, 1).contiguous().float() / 255
        inputs = self.processor(
            images=pixels, do_rescale=False, input_data_format="channels_first", return_tensors="pt"
        )
        with (
            torch.inference_mode(),
            torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"),
        ):
            maps = self.model.get_image_embeddings(inputs["pixel_values"].to(self.device))
        return [features.float() for features in maps], rgb.shape[:2]

    def decode(
        self, state, boxes: np.ndarray, points: np.ndarray | None = None, labels: np.ndarray | None = None
    ):
        """See segzero.segmenter: of the three masks of an object, the one with the highest predicted IoU."""
        maps, image_hw = state
        masks = np.zeros((len(boxes), *image_hw), bool)
        scores, low_res = [], []
        with torch.inference_mode():
            for start in range(0, len(boxes), AT_ONCE):
                part = slice(start, start + AT_ONCE)
                pairs = [None if part_of is None else part_of[part] for part_of in (points, labels)]
                output = self._predict(state, boxes[part], *pairs)
                score, best = best_of_three(output.pred_masks[0], output.iou_scores[0])
                for index, logits in enumerate(best, start):
                    masks[index] = _to_picture(logits, image_hw)
                scores.append(score.cpu().numpy())
                low_res.append(best.cpu().numpy())
        return masks, np.concatenate(scores), np.concatenate(low_res)

    def consider(
        self, state, boxes: np.ndarray, points: np.ndarray | None = None, labels: np.ndarray | None = None
    ):
        """The three masks of one object, boxes (1, 4), best first: (3, H, W) bool, predicted IoU (3,)."""
        with torch.inference_mode():
            output = self._predict(state, boxes, points, labels)
            order = output.iou_scores[0, 0].argsort(descending=True, stable=True)
            masks = [_to_picture(output.pred_masks[0, 0, index], state[1]) for index in order]
        return np.stack(masks), output.iou_scores[0, 0, order].float().cpu().numpy()

    def _predict(self, state, boxes: np.ndarray, points: np.ndarray | None, labels: np.ndarray | None):
        """The model's output for these objects, three masks and predicted IoUs each."""
        maps, image_hw = state
        prompts = {"input_boxes": [boxes.tolist()]}
        if points is not None:
            prompts["input_points"] = [points.tolist()]
            # -10 is the padding that this model skips; its -1 is a learned token, as in SAM.
            prompts["input_labels"] = [np.where(labels < 0, -10, labels).tolist()]
        inputs = self.processor(original_sizes=[list(image_hw)], return_tensors="pt", **prompts)
        inputs.pop("original_sizes")
        return self.model(image_embeddings=maps, multimask_output=True, **inputs.to(self.device))


def _to_picture(logits: Tensor, image_hw: tuple[int, int]) -> np.ndarray:
    """(h, w) logits of the squashed picture -> (H, W) bool; one at a time, as floats are big."""
    picture = F.interpolate(logits[None, None].float(), image_hw, mode="bilinear", align_corners=False)
    return (picture[0, 0] > 0).cpu().numpy()
