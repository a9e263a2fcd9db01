"""The mini reasoner: Qwen2.5-VL's real classes with a small config, and a batched forward for training it.

`build_model` gives a `Qwen2_5_VLForConditionalGeneration`; nothing about it is special, so every line that
runs for it runs for the 7B. `PackedForward` computes the same numbers as the model's own forward (a test
asserts it) for the one case that training has: pictures of one size, each with several questions. The picture
is seen once and its questions hang off it as branches, which costs half of asking them one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    apply_rotary_pos_emb,
    apply_rotary_pos_emb_vision,
)

PATCH_PX, MERGE = 14, 2
CELL_PX = PATCH_PX * MERGE
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)


def build_model(
    tokenizer, *, vision_dim: int = 192, vision_depth: int = 6, text_dim: int = 256, text_depth: int = 4
):
    """A random mini for `tokenizer`, a Hugging Face one with Qwen's special tokens; 8.5 M parameters.

    The picture's rows and columns live in mRoPE's slower bands. At the real model's theta of 1e6 those bands
    hardly turn over a grid of ten cells; at 200 they do, and the slowest still carry content over an answer.
    """
    token = tokenizer.convert_tokens_to_ids
    vision = {
        "depth": vision_depth,
        "hidden_size": vision_dim,
        "intermediate_size": 3 * vision_dim,
        "num_heads": vision_dim // 32,
        "patch_size": PATCH_PX,
        "spatial_merge_size": MERGE,
        "out_hidden_size": text_dim,
        "fullatt_block_indexes": list(range(vision_depth)),
    }
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": text_dim,
        "intermediate_size": 3 * text_dim,
        "num_hidden_layers": text_depth,
        "num_attention_heads": text_dim // 64,
        "num_key_value_heads": text_dim // 64,
        "max_position_embeddings": 4096,
        "bos_token_id": None,
        "eos_token_id": token("<|im_end|>"),
        "pad_token_id": token("<|endoftext|>"),
        "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 200.0, "mrope_section": [8, 12, 12]},
    }
    config = Qwen2_5_VLConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    return Qwen2_5_VLForConditionalGeneration(config)


def to_patches(frames: Tensor) -> Tensor:
    """frames (B, 3, S, S) uint8 -> (B, N, 1176) float, in the order and scale of Qwen2VLImageProcessor."""
    batch, channels, side, _ = frames.shape
    mean = torch.tensor(PIXEL_MEAN, device=frames.device).view(3, 1, 1)
    std = torch.tensor(PIXEL_STD, device=frames.device).view(3, 1, 1)
    pixels = (frames.float() / 255 - mean) / std
    cells = side // CELL_PX
    grid = pixels.view(batch, channels, cells, MERGE, PATCH_PX, cells, MERGE, PATCH_PX)
    grid = grid.permute(0, 2, 5, 3, 6, 1, 4, 7)  # (B, rows, cols, m, m, C, p, p)
    grid = grid.unsqueeze(6).expand(
        *grid.shape[:6], 2, PATCH_PX, PATCH_PX
    )  # a still picture is two equal moments
    return grid.reshape(batch, (side // PATCH_PX) ** 2, -1)


@dataclass(frozen=True)
class Packed:
    """One batch of pictures with their questions as branches.

    ids: (B, L) token ids: the prefix (chat head + picture), then one branch after the other, right-padded.
    branch: (B, L) 0 in the prefix, 1.. in a branch, -1 in padding.  position: (3, B, L) mRoPE positions.
    """

    ids: Tensor
    branch: Tensor
    position: Tensor

    def attention(self, dtype: torch.dtype) -> Tensor:
        """(B, 1, L, L) additive mask: causal, and a branch sees only the prefix and itself."""
        length = self.ids.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=self.ids.device).tril()
        same = self.branch[:, :, None] == self.branch[:, None, :]
        allowed = causal & (same | (self.branch[:, None, :] == 0))
        mask = torch.zeros(allowed.shape, dtype=dtype, device=self.ids.device)
        return mask.masked_fill_(~allowed, torch.finfo(dtype).min)[:, None]


class PackedForward(nn.Module):
    """The model's forward over a `Packed` batch; returns every layer's hidden states."""

    def __init__(self, model: Qwen2_5_VLForConditionalGeneration):
        super().__init__()
        self.model = model

    def see(self, frames: Tensor) -> Tensor:
        """frames (B, 3, S, S) uint8 -> visual tokens (B, cells, text_dim)."""
        visual = self.model.model.visual
        patches = to_patches(frames)
        batch, count, _ = patches.shape
        # A still picture's two moments are equal: one product with the sum of their weights embeds both.
        moment = patches.view(batch, count, 3, 2, -1)[:, :, :, 0].flatten(2)
        weight = visual.patch_embed.proj.weight.sum(2).flatten(1)
        hidden = nn.functional.linear(moment, weight)
        cos, sin = visual.rotary_pos_emb(
            hidden[0], _grid_positions(frames.shape[-1] // PATCH_PX, frames.device)
        )
        for block in visual.blocks:
            hidden = hidden + _vision_attention(block.attn, block.norm1(hidden), cos, sin)
            hidden = hidden + block.mlp(block.norm2(hidden))
        return visual.merger(hidden.reshape(batch * count, -1)).view(batch, count // MERGE**2, -1)

    def read(self, packed: Packed, visual_tokens: Tensor, layers: int | None = None) -> list[Tensor]:
        """Hidden states (B, L, text_dim): the embeddings, after each layer, and last the normed output.

        layers: only so many of them, for training that looks no further.
        """
        text = self.model.model.language_model
        hidden = text.embed_tokens(packed.ids)
        is_image = packed.ids == self.model.config.image_token_id
        hidden = hidden.masked_scatter(is_image[..., None], visual_tokens.to(hidden.dtype))
        position = text.rotary_emb(hidden, packed.position)
        mask = packed.attention(hidden.dtype)
        states = [hidden]
        for layer in text.layers[:layers]:
            hidden = layer(hidden, attention_mask=mask, position_embeddings=position)
            states.append(hidden)
        return [*states, text.norm(hidden)]

    def looks(
        self, packed: Packed, states: list[Tensor], layer: int, heads: int, rows: Tensor, at: Tensor
    ) -> Tensor:
        """Where the first `heads` heads of one layer look on the picture, from K chosen tokens.

        rows, at: (K,) batch row and position of the looking token. Returns (K, cells) log-probabilities of a
        softmax over the picture's cells only, the heads' probabilities averaged.
        """
        text = self.model.model.language_model
        block = text.layers[layer]
        attention = block.self_attn
        normed = block.input_layernorm(states[layer])
        batch, length, _ = normed.shape
        query = attention.q_proj(normed).view(batch, length, -1, attention.head_dim).transpose(1, 2)
        key = attention.k_proj(normed).view(batch, length, -1, attention.head_dim).transpose(1, 2)
        cos, sin = text.rotary_emb(normed, packed.position)
        query, key = apply_rotary_pos_emb(query, key, cos, sin)
        cells = (packed.ids[0] == self.model.config.image_token_id).nonzero()[:, 0]
        chosen = query[rows, :heads, at].float()  # (K, heads, head_dim)
        keys = key[:, :heads, cells].float()[rows]  # (K, heads, cells, head_dim)
        scores = torch.einsum("khd,khcd->khc", chosen, keys) * attention.scaling
        return scores.softmax(-1).mean(1).clamp_min(1e-8).log()


def _grid_positions(side: int, device) -> Tensor:
    """(side*side, 2) row and column of each patch, in merge-block order."""
    rows, cols = torch.meshgrid(
        torch.arange(side, device=device), torch.arange(side, device=device), indexing="ij"
    )
    shape = (side // MERGE, MERGE, side // MERGE, MERGE)
    return torch.stack([axis.reshape(shape).transpose(1, 2).flatten() for axis in (rows, cols)], dim=-1)


def _vision_attention(attention, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    batch, count, dim = hidden.shape
    qkv = attention.qkv(hidden).view(batch, count, 3, attention.num_heads, -1)
    query, key, value = qkv.unbind(2)  # (B, N, heads, d)
    query, key = apply_rotary_pos_emb_vision(query, key, cos, sin)
    query, key, value = (tensor.transpose(1, 2) for tensor in (query, key, value))
    # On a CPU the fused kernel's backward pass is five times slower in bf16 than these two products.
    scores = (query @ key.transpose(2, 3)) * attention.scaling
    mixed = scores.softmax(-1) @ value
    return attention.proj(mixed.transpose(1, 2).reshape(batch, count, dim))
