"""The network of the bundled miniature segmenter: a convolutional pyramid, and SAM's way of decoding.

    model = MiniSam(MiniSamConfig())
    logits, iou = model(crops, boxes, points, labels)      # (B, 3, S, S) uint8 -> (B, 4, S, S), (B, 4)

Frame: "crop" is the square the network sees; mini_sam.py cuts it out of pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from segment_anything.modeling import PromptEncoder, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.image_encoder import Block
from segment_anything.modeling.mask_decoder import MLP
from torch import Tensor, nn
from torch.nn import functional as F

POINT_PX = 3.0  # radius of a drawn point


@dataclass(frozen=True)
class MiniSamConfig:
    """Everything that shapes the weights. Widths are the channels at strides 2, 4, 8 and 16.

    Raises ValueError for sizes that no network of this kind has.
    """

    crop_px: int = 160
    crop_scale: float = 1.6  # crop side / larger side of the box: room for a box that is off
    widths: tuple[int, int, int, int] = (24, 48, 96, 160)
    blocks: int = 2  # SAM transformer blocks at stride 16
    heads: int = 4
    decoder_dim: int = 128
    decoder_depth: int = 2
    decoder_heads: int = 4
    decoder_mlp: int = 256
    multimask: int = 3  # further mask tokens behind token 0, as SAM has them
    mask_channels: int = 16

    def __post_init__(self) -> None:
        sizes = {name: value for name, value in vars(self).items() if name not in ("crop_scale", "widths")}
        sizes |= {f"widths[{index}]": width for index, width in enumerate(self.widths)}
        for name, value in sizes.items():
            if type(value) is not int or not 1 <= value <= 4096:
                raise ValueError(f"{name} is a whole number from 1 to 4096, not {value!r}")
        if type(self.crop_scale) not in (int, float) or not 1 <= self.crop_scale <= 10:
            raise ValueError(f"crop_scale is a number from 1 to 10, not {self.crop_scale!r}")
        if len(self.widths) != 4 or self.crop_px % 16:
            raise ValueError("there are four widths, and crop_px is a multiple of 16")
        if self.widths[3] % self.heads or self.decoder_dim % (2 * self.decoder_heads):
            raise ValueError("widths[3] is a multiple of heads, decoder_dim of twice decoder_heads")


def draw_prompts(boxes: Tensor, points: Tensor | None, labels: Tensor | None, crop_px: int) -> Tensor:
    """Prompts as three maps at stride 2, (B, 3, S/2, S/2): the filled box, positive and negative points.

    boxes (B, 4), points (B, P, 2): crop px; labels (B, P). SAM's prompt tokens meet the picture only in the
    decoder; drawn into the input as well, they tell every layer of so small an encoder what is meant.
    """
    centres = torch.arange(crop_px // 2, device=boxes.device, dtype=torch.float32) * 2 + 0.5  # crop px
    low, high = boxes[:, :2, None], boxes[:, 2:, None]
    inside = ((centres - low) / 2 + 0.5).clamp(0, 1) * ((high - centres) / 2 + 0.5).clamp(0, 1)  # (B, 2, S/2)
    maps = [inside[:, 1, :, None] * inside[:, 0, None, :]]
    for label in (1, 0):
        if points is None:
            maps.append(torch.zeros_like(maps[0]))
            continue
        bumps = torch.exp(-((centres - points[..., None]) ** 2) / (2 * POINT_PX**2))  # (B, P, 2, S/2)
        rows = bumps[:, :, 1] * (labels == label)[..., None]
        maps.append(torch.einsum("bpy,bpx->byx", rows, bumps[:, :, 0]).clamp(max=1))
    return torch.stack(maps, 1)


def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, normalised and rectified; `stride` divides height and width."""
    weights = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(weights, nn.BatchNorm2d(outputs), nn.ReLU(True))


class Residual(nn.Module):
    """Two 3x3 convolutions around a skip; (B, C, h, w) -> the same shape."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = conv(channels, channels)
        self.second = conv(channels, channels)[:2]

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


class Encoder(nn.Module):
    """A crop and its drawn prompts -> feature maps at strides 2, 4 and 8; the last also holds stride 16's."""

    def __init__(self, config: MiniSamConfig):
        super().__init__()
        two, four, eight, sixteen = config.widths
        self.stem = conv(3 * 4 + 3, two)  # pixels packed by pixel_unshuffle, + prompts
        self.to_four = nn.Sequential(conv(two, four, 2), Residual(four))
        self.to_eight = nn.Sequential(conv(four, eight, 2), Residual(eight))
        self.to_sixteen = conv(eight, sixteen, 2)
        size = config.crop_px // 16
        self.blocks = nn.ModuleList(
            Block(sixteen, config.heads, mlp_ratio=3.0, use_rel_pos=True, input_size=(size, size))
            for _ in range(config.blocks)
        )
        self.from_eight = nn.Conv2d(eight, config.decoder_dim, 1)
        self.from_sixteen = nn.Conv2d(sixteen, config.decoder_dim, 1)
        self.norm = LayerNorm2d(config.decoder_dim)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        two = self.stem(inputs)
        four = self.to_four(two)
        eight = self.to_eight(four)
        sixteen = self.to_sixteen(eight).permute(0, 2, 3, 1)  # Blocks are channels-last: (B, h, w, C)
        for block in self.blocks:
            sixteen = block(sixteen)
        top = F.interpolate(self.from_sixteen(sixteen.permute(0, 3, 1, 2)), scale_factor=2.0)
        return two, four, self.norm(self.from_eight(eight) + top)


class MaskDecoder(nn.Module):
    """SAM's two-way decoder with hi-res skips: tokens and prompts read the image, mask tokens draw masks."""

    def __init__(self, config: MiniSamConfig):
        super().__init__()
        dim, (two, four, _, _) = config.decoder_dim, config.widths
        self.tokens = nn.Embedding(2 + config.multimask, dim)  # IoU token, token 0, the multimask tokens
        sizes = config.decoder_depth, dim, config.decoder_heads, config.decoder_mlp
        self.transformer = TwoWayTransformer(*sizes)
        self.to_four = nn.Conv2d(dim, four, 1)
        self.at_four = conv(four, four)
        self.to_two = nn.Conv2d(four, two, 1)
        self.at_two = conv(two, two)
        self.to_one = nn.Conv2d(two, 4 * config.mask_channels, 1)
        masks = 1 + config.multimask
        self.hyper = nn.ModuleList(MLP(dim, dim, config.mask_channels, 3) for _ in range(masks))
        self.iou = MLP(dim, dim, masks, 3)

    def forward(self, maps: tuple[Tensor, Tensor, Tensor], position: Tensor, sparse: Tensor, dense: Tensor):
        """-> logits (B, 1 + multimask, S, S), iou (B, 1 + multimask)."""
        two, four, eight = maps
        source = eight + dense
        tokens = torch.cat([self.tokens.weight.expand(len(sparse), -1, -1), sparse], 1)
        tokens, image = self.transformer(source, position.expand(len(sparse), -1, -1, -1), tokens)
        image = image.transpose(1, 2).reshape(source.shape)
        four = self.at_four(F.interpolate(self.to_four(image), scale_factor=2.0) + four)
        two = self.at_two(F.interpolate(self.to_two(four), scale_factor=2.0) + two)
        # Each stride-2 position holds its four pixels' features; the masks, not the features, are unpacked.
        packed = self.to_one(two).flatten(2).unflatten(1, (-1, 4))  # (B, C, 4, S/2 * S/2)
        brushes = torch.stack([mlp(tokens[:, 1 + i]) for i, mlp in enumerate(self.hyper)], 1)
        logits = torch.einsum("btc,bcn->btn", brushes, packed.flatten(2)).unflatten(-1, (4, *two.shape[-2:]))
        return F.pixel_shuffle(logits, 2).squeeze(2), self.iou(tokens[:, 0])


class MiniSam(nn.Module):
    """The network: crops and prompts in the crop frame -> mask logits and IoU estimates."""

    def __init__(self, config: MiniSamConfig):
        super().__init__()
        self.config = config
        grid = (config.crop_px // 8,) * 2
        self.encoder = Encoder(config)
        self.prompt_encoder = PromptEncoder(config.decoder_dim, grid, (config.crop_px,) * 2, mask_in_chans=16)
        self.decoder = MaskDecoder(config)

    def forward(
        self, crops: Tensor, boxes: Tensor, points: Tensor | None = None, labels: Tensor | None = None
    ):
        """crops (B, 3, S, S) uint8 RGB; boxes (B, 4), points (B, P, 2), crop px; labels (B, P) 1, 0 or -1.

        S: config.crop_px, or another multiple of 16 near it, as training's first part has it.
        -> logits (B, 1 + multimask, S, S) float, > 0 inside the object; iou (B, 1 + multimask), about [0, 1].
        """
        size = crops.shape[-1]
        pixels = (F.pixel_unshuffle(crops, 2).float() - 128.0) / 64.0  # (B, 12, S/2, S/2)
        with torch.autocast(crops.device.type, enabled=False):  # bf16 would round positions to half a pixel
            prompts = draw_prompts(boxes, points, labels, size)
            nominal = self.config.crop_px / size  # the prompt encoder knows one size only
            pairs = None if points is None else ((points + 0.5) * nominal - 0.5, labels)
            sparse, dense = self.prompt_encoder(points=pairs, boxes=(boxes + 0.5) * nominal - 0.5, masks=None)
            dense = dense[:, :, :1, :1]  # "no mask": the same everywhere
            position = self.prompt_encoder.pe_layer((size // 8, size // 8))[None]
        inputs = torch.cat([pixels, prompts], 1).contiguous(memory_format=torch.channels_last)
        return self.decoder(self.encoder(inputs), position, sparse, dense)
