"""Segment Anything (2023) in its own classes, from the published .pth files or from the Hub's safetensors.

    Segmenter.load("sam-vit-h")                       # facebook/sam-vit-huge
    Segmenter.load("sam_vit_b_01ec64.pth")            # an official checkpoint

Every size is read off the weights, so ViT-B, -L, -H and a test's tiny one take the same path.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import Tensor, nn

from segzero.segmenter.segmenter import best_of_three
from segzero.weights import fill, place, read_safetensors, reading, shape_of

AT_ONCE = 32  # objects decoded together: bounds memory for an answer with hundreds
DECODER_HEADS = 8  # the one size that leaves no trace in the weights; the same in all of SAM

# transformers' names -> segment_anything's, applied in this order.
RENAMES = (
    (r"^shared_image_embedding\.|^prompt_encoder\.shared_embedding\.", "prompt_encoder.pe_layer."),
    (r"\.positional_embedding$", ".positional_encoding_gaussian_matrix"),
    (r"^vision_encoder\.layers\.", "image_encoder.blocks."),
    (r"^vision_encoder\.patch_embed\.projection\.", "image_encoder.patch_embed.proj."),
    (r"\.neck\.conv1\.", ".neck.0."),
    (r"\.neck\.layer_norm1\.", ".neck.1."),
    (r"\.neck\.conv2\.", ".neck.2."),
    (r"\.neck\.layer_norm2\.", ".neck.3."),
    (r"^vision_encoder\.", "image_encoder."),
    (r"\.mask_embed\.conv1\.", ".mask_downscaling.0."),
    (r"\.mask_embed\.layer_norm1\.", ".mask_downscaling.1."),
    (r"\.mask_embed\.conv2\.", ".mask_downscaling.3."),
    (r"\.mask_embed\.layer_norm2\.", ".mask_downscaling.4."),
    (r"\.mask_embed\.conv3\.", ".mask_downscaling.6."),
    (r"\.point_embed\.", ".point_embeddings."),
    (r"\.upscale_conv1\.", ".output_upscaling.0."),
    (r"\.upscale_layer_norm\.", ".output_upscaling.1."),
    (r"\.upscale_conv2\.", ".output_upscaling.3."),
    (r"\.layer_norm_final_attn\.", ".norm_final_attn."),
    (r"\.layer_norm(\d)\.", r".norm\1."),
    # the heads' MLPs; layers.0 sits between proj_in and proj_out, so it moves up by one first
    (r"(_mlps\.\d+|_head)\.layers\.(\d+)\.", lambda m: f"{m[1]}.layers.{int(m[2]) + 1}."),
    (r"\.proj_in\.", ".layers.0."),
)


def rename(name: str) -> str:
    """A weight's name in transformers' SamModel -> its name in segment_anything's Sam; not for `proj_out`."""
    for pattern, new in RENAMES:
        name = re.sub(pattern, new, name)
    return name


def from_transformers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """SamModel's weights under Sam's names. The last layer of each MLP is numbered after those between."""
    renamed = {}
    for name, value in weights.items():
        head, out, tail = name.partition(".proj_out.")
        last = _count(weights, head + ".layers.") + 1
        renamed[rename(f"{head}.layers.{last - 1}.{tail}" if out else name)] = value
    return renamed


def build(weights: dict[str, Tensor]) -> Sam:
    """The Sam that these weights (segment_anything's names) belong to. Raises WeightsError for any others."""
    dim, _, patch, _ = shape_of(weights, "image_encoder.patch_embed.proj.weight", 4)
    grid = shape_of(weights, "image_encoder.pos_embed", 4)[1]
    depth = _count(weights, "image_encoder.blocks.")
    lengths = [shape_of(weights, f"image_encoder.blocks.{i}.attn.rel_pos_h", 2)[0] for i in range(depth)]
    head_dim = shape_of(weights, "image_encoder.blocks.0.attn.rel_pos_h", 2)[1]
    spans = [(length + 1) // 2 for length in lengths]
    out = shape_of(weights, "image_encoder.neck.0.weight", 4)[0]
    mlp_dim = shape_of(weights, "image_encoder.blocks.0.mlp.lin1.weight", 2)[0]
    mask_channels = shape_of(weights, "prompt_encoder.mask_downscaling.3.weight", 4)[0]
    decoder_mlp_dim = shape_of(weights, "mask_decoder.transformer.layers.0.mlp.lin1.weight", 2)[0]
    tokens = shape_of(weights, "mask_decoder.mask_tokens.weight", 2)[0]
    iou_dim = shape_of(weights, "mask_decoder.iou_prediction_head.layers.0.weight", 2)[0]
    with reading("its sizes"):
        encoder = ImageEncoderViT(
            depth=depth, embed_dim=dim, img_size=grid * patch, patch_size=patch, num_heads=dim // head_dim,
            mlp_ratio=mlp_dim / dim, qkv_bias=True, use_rel_pos=True,
            norm_layer=partial(nn.LayerNorm, eps=1e-6), out_chans=out, window_size=min(spans),
            global_attn_indexes=tuple(i for i, span in enumerate(spans) if span == grid),
        )  # fmt: skip
        prompts = PromptEncoder(
            embed_dim=out, image_embedding_size=(grid, grid), input_image_size=(grid * patch,) * 2,
            mask_in_chans=mask_channels,
        )  # fmt: skip
        transformer = TwoWayTransformer(
            depth=_count(weights, "mask_decoder.transformer.layers."), embedding_dim=out,
            num_heads=DECODER_HEADS, mlp_dim=decoder_mlp_dim,
        )  # fmt: skip
        decoder = MaskDecoder(
            transformer_dim=out, transformer=transformer, num_multimask_outputs=tokens - 1,
            iou_head_depth=_count(weights, "mask_decoder.iou_prediction_head.layers."),
            iou_head_hidden_dim=iou_dim,
        )  # fmt: skip
        sam = Sam(encoder, prompts, decoder)
    fill(sam, weights)
    return sam.eval()


def _count(weights: dict[str, Tensor], prefix: str) -> int:
    """How many numbered parts there are under a prefix."""
    return len({name[len(prefix) :].split(".")[0] for name in weights if name.startswith(prefix)})


class Sam1Backend:
    """encode / decode as every backend of `Segmenter` has them, around one `Sam`; holds no picture."""

    def __init__(self, sam: Sam, device: str = "cpu") -> None:
        self.sam = sam.eval().to(device)
        self.device = torch.device(device)
        self.low_res_px = 4 * sam.prompt_encoder.image_embedding_size[0]

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> Sam1Backend:
        """folder: a SamModel's safetensors. Raises WeightsError when there are none."""
        weights = read_safetensors(folder)
        with reading("its weights"):
            weights = {name: value.float() for name, value in weights.items()}
        return cls.from_weights(from_transformers(weights), device)

    @classmethod
    def from_weights(cls, weights: dict[str, Tensor], device: str = "cpu") -> Sam1Backend:
        """weights: by their official names, as checkpoint.read gives them. Raises WeightsError."""
        return cls(place(build(weights), device), device)

    def encode(self, rgb: np.ndarray) -> tuple[Tensor, tuple[int, int], tuple[int, int]]:
        """(H, W, 3) uint8 RGB -> (embedding (1, C, g, g) float32, resized (h, w), original (H, W))."""
        height, width = rgb.shape[:2]
        side = self.sam.image_encoder.img_size
        scale = side / max(height, width)
        resized_hw = max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
        resized = Image.fromarray(rgb).resize(resized_hw[::-1], Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(resized)).permute(2, 0, 1)[None].to(self.device)
        with torch.inference_mode():
            padded = self.sam.preprocess(pixels.float())
            # Casting the whole model to bf16 breaks SAM's decoder; the encoder alone takes it well.
            with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
                embedding = self.sam.image_encoder(padded)
        return embedding.float(), resized_hw, (height, width)

    def decode(
        self, state, boxes: np.ndarray, points: np.ndarray | None = None, labels: np.ndarray | None = None
    ):
        """See segzero.segmenter: of the three masks of an object, the one with the highest predicted IoU."""
        embedding, resized_hw, image_hw = state
        boxes, points, labels = self._in_frame(state, boxes, points, labels)
        masks = np.zeros((len(boxes), *image_hw), bool)
        scores, low_res = [], []
        with torch.inference_mode():
            for start in range(0, len(boxes), AT_ONCE):
                part = slice(start, start + AT_ONCE)
                pairs = None if points is None else (points[part], labels[part])
                score, best = best_of_three(*self._predict(embedding, boxes[part], pairs))
                for index, logits in enumerate(best, start):
                    masks[index] = self._to_picture(logits, resized_hw, image_hw)
                scores.append(score.cpu().numpy())
                low_res.append(best.cpu().numpy())
        return masks, np.concatenate(scores), np.concatenate(low_res)

    def consider(
        self, state, boxes: np.ndarray, points: np.ndarray | None = None, labels: np.ndarray | None = None
    ):
        """The three masks of one object, boxes (1, 4), best first: (3, H, W) bool, predicted IoU (3,)."""
        embedding, resized_hw, image_hw = state
        boxes, points, labels = self._in_frame(state, boxes, points, labels)
        with torch.inference_mode():
            logits, ious = self._predict(embedding, boxes, None if points is None else (points, labels))
            order = ious[0].argsort(descending=True, stable=True)
            masks = [self._to_picture(logits[0, index], resized_hw, image_hw) for index in order]
        return np.stack(masks), ious[0, order].float().cpu().numpy()

    def _in_frame(self, state, boxes: np.ndarray, points: np.ndarray | None, labels: np.ndarray | None):
        """Prompts in pixels of the picture -> the same as tensors in pixels of the resized picture."""
        _, resized_hw, image_hw = state
        scale = np.array([resized_hw[1] / image_hw[1], resized_hw[0] / image_hw[0]], np.float32)
        boxes = torch.from_numpy(boxes * np.tile(scale, 2)).to(self.device)
        if points is not None:
            points = torch.from_numpy(points * scale).to(self.device)
            labels = torch.from_numpy(labels).to(self.device)
        return boxes, points, labels

    def _predict(self, embedding: Tensor, boxes: Tensor, pairs) -> tuple[Tensor, Tensor]:
        """-> logits (N, 3, h, w), predicted IoU (N, 3)."""
        sparse, dense = self.sam.prompt_encoder(points=pairs, boxes=boxes, masks=None)
        return self.sam.mask_decoder(
            image_embeddings=embedding,
            image_pe=self.sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )

    def _to_picture(
        self, logits: Tensor, resized_hw: tuple[int, int], image_hw: tuple[int, int]
    ) -> np.ndarray:
        """(h, w) logits of the padded square -> (H, W) bool; one at a time, as floats are big."""
        return (self.sam.postprocess_masks(logits[None, None], resized_hw, image_hw)[0, 0] > 0).cpu().numpy()
