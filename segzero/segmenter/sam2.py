"""SAM 2.1 through transformers, as the published Seg-Zero results use it (SAM 2 Large).

Segmenter.load("sam2.1-large")                    # facebook/sam2.1-hiera-large
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import Sam2Model, Sam2Processor

from segzero.segmenter.segmenter import best_of_three

AT_ONCE = 32  # objects decoded together: bounds memory for an answer with hundreds


class Sam2Backend:
    """encode / decode as every backend of `Segmenter` has them, around one `Sam2Model`; holds no picture."""

    def __init__(self, model: Sam2Model, processor: Sam2Processor, device: str = "cpu") -> None:
        self.model = model.eval().to(device)
        self.processor = processor
        self.device = torch.device(device)
        self.low_res_px = 4 * model.prompt_encoder.image_embedding_size[0]

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> Sam2Backend:
        """folder: a Sam2Model (or the video model around one) with its processor. Raises OSError."""
        model = Sam2Model.from_pretrained(folder, dtype=torch.float32)
        return cls(model, Sam2Processor.from_pretrained(folder), device)

    def encode(self, rgb: np.ndarray) -> tuple[list[Tensor], tuple[int, int]]:
        """(H, W, 3) uint8 RGB -> (feature maps at strides 4, 8, 16, float32, original (H, W))."""
        inputs = self.processor(images=rgb, input_data_format="channels_last", return_tensors="pt")
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
