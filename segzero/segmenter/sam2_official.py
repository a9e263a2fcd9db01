"""SAM 2's official checkpoints as transformers' Sam2Model, which computes the same.

    model = build(weights)                        # of sam2_hiera_large.pt, sam2.1_hiera_tiny.pt, …

Attention heads and windows leave no trace in weights, so only the four published sizes can be told; SAM 2.0
and 2.1 differ in what they remember of a video, and share all that a picture needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import Sam2Config, Sam2Model

from segzero.weights import WeightsError, fill, shape_of

_SMALL_WINDOWS, _LARGE_WINDOWS = [8, 4, 14, 7], [8, 4, 16, 8]
SIZES = {  # (width, blocks) -> blocks per stage, heads, windows, global blocks, side of pos_embed
    (96, 12): ([1, 2, 7, 2], 1, _SMALL_WINDOWS, [5, 7, 9], 7),  # tiny
    (96, 16): ([1, 2, 11, 2], 1, _SMALL_WINDOWS, [7, 10, 13], 7),  # small
    (112, 24): ([2, 3, 16, 3], 2, _SMALL_WINDOWS, [12, 16, 20], 14),  # base-plus
    (144, 48): ([2, 6, 36, 4], 2, _LARGE_WINDOWS, [23, 33, 43], 7),  # large
}
VIDEO = re.compile(r"memory_|maskmem_|mask_downsample\.|obj_ptr_|no_obj_|no_mem_pos_enc$")
"""What only following objects through a video needs."""

# The official names -> transformers', applied in this order.
RENAMES = (
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
    (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"^sam_", ""),
    (r"\.pe_layer\.positional_encoding_gaussian_matrix$", ".shared_embedding.positional_embedding"),
    (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
    (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
    (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
    (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
    (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
    (r"\.output_upscaling\.0\.", ".upscale_conv1."),
    (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
    (r"\.output_upscaling\.3\.", ".upscale_conv2."),
    (r"\.norm_final_attn\.", ".layer_norm_final_attn."),
    (r"\.norm(\d)\.", r".layer_norm\1."),
    (r"\.out_proj\.", ".o_proj."),
    (r"\.mlp\.layers\.0\.", ".mlp.proj_in."),
    (r"\.mlp\.layers\.1\.", ".mlp.proj_out."),
    (r"(_mlps\.\d+|_head)\.layers\.0\.", r"\1.proj_in."),  # the heads' MLPs have three layers
    (r"(_mlps\.\d+|_head)\.layers\.1\.", r"\1.layers.0."),
    (r"(_mlps\.\d+|_head)\.layers\.2\.", r"\1.proj_out."),
    (r"^no_mem_embed$", "no_memory_embedding"),
)
_POINTS = re.compile(r"prompt_encoder\.point_embeddings\.(\d+)\.weight")


def build(weights: Mapping[str, Tensor]) -> Sam2Model:
    """The model of these weights (official names). Raises WeightsError unless they are a published size's."""
    config = _config(weights)
    model = Sam2Model(config)
    fill(model, from_official(weights))
    return model.eval()


def from_official(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Official weights under the names of Sam2Model, without those that only video needs."""
    renamed, points = {}, {}
    for name, value in weights.items():
        if VIDEO.match(name):
            continue
        for pattern, new in RENAMES:
            name = re.sub(pattern, new, name)
        point = _POINTS.fullmatch(name)
        if point:
            points[int(point[1])] = value
        else:
            renamed[name] = value
    if sorted(points) == [0, 1, 2, 3] and len({value.shape for value in points.values()}) == 1:
        renamed["prompt_encoder.point_embed.weight"] = torch.cat([points[index] for index in range(4)])
    shared = renamed.get("prompt_encoder.shared_embedding.positional_embedding")
    if shared is not None:  # one tensor there, two of the same values here
        renamed["shared_image_embedding.positional_embedding"] = shared
    return renamed


def _config(weights: Mapping[str, Tensor]) -> Sam2Config:
    """The sizes of a published model. Raises WeightsError when the weights are of none of them."""
    width = shape_of(weights, "image_encoder.trunk.patch_embed.proj.weight", 4)[0]
    blocks = {name.split(".")[3] for name in weights if name.startswith("image_encoder.trunk.blocks.")}
    if (width, len(blocks)) not in SIZES:
        raise WeightsError(
            f"its {len(blocks)} blocks of width {width} are none of SAM 2's four sizes "
            "(tiny, small, base-plus, large)"
        )
    stages, heads, windows, everywhere, side = SIZES[width, len(blocks)]
    widths = [width * 2**stage for stage in range(4)]
    return Sam2Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": width,
                "num_attention_heads": heads,
                "blocks_per_stage": stages,
                "embed_dim_per_stage": widths,
                "num_attention_heads_per_stage": [heads * 2**stage for stage in range(4)],
                "window_size_per_stage": windows,
                "global_attention_blocks": everywhere,
                "window_positional_embedding_background_size": [side, side],
            },
            "backbone_channel_list": widths[::-1],
        }
    )
