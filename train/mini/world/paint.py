"""Pixel work of the composer: warp a cut-out, tint it, lay its shadow, blend it in, degrade the result.

patch = warp(sprite.levels, longest_px=60, angle_deg=10.0, flip=True, squeeze=1.0)
blend(canvas, patch, x, y)
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

cv2.setNumThreads(1)  # patches are small, and trainers run one composer a core

NOISE = np.random.default_rng(0).normal(0, 32, 700_000).astype(np.int8)  # standard deviation 32


def warp(
    levels: Sequence[np.ndarray],
    longest_px: float,
    angle_deg: float,
    flip: bool,
    squeeze: float,
    shear: float = 0.0,
) -> np.ndarray:
    """Scale, turn, shear and mirror a sprite: (h, w, 4) uint8 RGBA, cut to its solid part and 1 px around it.

    longest_px: the longest side before turning. squeeze: width is multiplied by it. shear: how far the top
    moves sideways, as a share of the height.
    """
    scale = longest_px / max(levels[0].shape[:2])
    number = 0 if scale > 0.6 else 1 if scale > 0.3 else 2  # the smallest copy that is not enlarged by much
    level = levels[number]
    scale *= levels[0].shape[0] / level.shape[0]
    radians = np.radians(angle_deg)
    cos, sin = float(np.cos(radians)) * scale, float(np.sin(radians)) * scale
    mirror = -squeeze if flip else squeeze
    upright = np.array([[cos * mirror, -sin], [sin * mirror, cos]]) @ np.array([[1, shear], [0, 1]])
    matrix = np.hstack([upright, np.zeros((2, 1))]).astype(np.float32)
    height, width = level.shape[:2]
    out_w, out_h = (int(extent) + 2 for extent in np.abs(upright) @ (width, height))
    matrix[:, 2] = (out_w / 2, out_h / 2) - matrix[:, :2] @ (width / 2, height / 2)
    patch = cv2.warpAffine(level, matrix, (out_w, out_h), flags=cv2.INTER_LINEAR)
    x, y, w, h = cv2.boundingRect(solid_part(patch))
    return patch[max(0, y - 1) : y + h + 1, max(0, x - 1) : x + w + 1]


def solid_part(rgba: np.ndarray) -> np.ndarray:
    """(h, w) uint8: 255 where alpha is above one half, else 0."""
    return (rgba[..., 3] > 127).astype(np.uint8) * 255  # cv2.compare fails where the height is 4


def shift_hue(rgba: np.ndarray, steps: int) -> np.ndarray:
    """Turn the hue by `steps` of 2 degrees; alpha stays."""
    hsv = cv2.cvtColor(rgba[..., :3], cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(np.uint16) + steps) % 180
    return np.dstack([cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), rgba[..., 3]])


def tint(rgba: np.ndarray, contrast: float, brightness: float, gains: np.ndarray) -> np.ndarray:
    """Contrast about mid-grey, then brightness (added, in levels), then a gain for each of R, G, B."""
    ramp = (np.arange(256, dtype=np.float32) - 128) * contrast + 128 + brightness
    table = np.empty((1, 256, 4), np.uint8)
    table[0, :, :3] = np.clip(ramp[:, None] * gains, 0, 255)
    table[0, :, 3] = np.arange(256)
    return cv2.LUT(rgba, table)


def restyle(rng: np.random.Generator, rgba: np.ndarray) -> np.ndarray:
    """Another material, another light on (h, w, 4) uint8: hue, saturation, a gain across it, blotches.

    A drawing's flat colours are what a render or a photo of the same thing does not share with it. Now and
    then all colours are mixed anew (light may become dark), or only the lines are left.
    """
    kind = rng.random()
    if kind < 0.3:
        rgba = shift_hue(rgba, int(rng.integers(1, 180)))
    elif kind < 0.5:
        rgba = mix_colors(rng, rgba)
    elif kind < 0.6:
        rgba = line_drawing(rng, rgba)
    rgb = rgba[..., :3].astype(np.float32)
    if rng.random() < 0.5:
        grey = cv2.cvtColor(rgba[..., :3], cv2.COLOR_RGB2GRAY)[..., None]
        rgb = grey + float(rng.uniform(0.1, 1.4)) * (rgb - grey)
    height, width = rgb.shape[:2]
    slope = rng.normal(0, 0.35, 2)
    across = np.linspace(-0.5, 0.5, width, dtype=np.float32) * slope[0]
    down = np.linspace(-0.5, 0.5, height, dtype=np.float32) * slope[1]
    blotches = rng.normal(0, float(rng.uniform(0, 0.25)), (4, 4)).astype(np.float32)
    gain = 1 + across + down[:, None] + cv2.resize(blotches, (width, height), interpolation=cv2.INTER_CUBIC)
    rgb = (rgb - 128) * float(rng.uniform(0.6, 1.3)) + 128 + float(rng.normal(0, 15))
    return np.dstack([np.clip(rgb * gain[..., None], 0, 255).astype(np.uint8), rgba[..., 3]])


def mix_colors(rng: np.random.Generator, rgba: np.ndarray) -> np.ndarray:
    """Each of R, G, B a random blend of the three, of either sign; alpha stays.

    A random convolution of size 1 (Xu et al., "Robust and Generalizable Visual Representation Learning via
    Random Convolutions", 2021): edges stay where they are, and say what the thing is.
    """
    blend = rng.normal(0, 0.6, (3, 3)).astype(np.float32)
    middle = rgba[rgba[..., 3] > 127, :3].mean(0, dtype=np.float32)
    offset = rng.uniform(60, 200, 3).astype(np.float32) - blend @ middle
    mixed = cv2.transform(rgba[..., :3].astype(np.float32), np.column_stack([blend, offset]))
    return np.dstack([np.clip(mixed, 0, 255).astype(np.uint8), rgba[..., 3]])


def line_drawing(rng: np.random.Generator, rgba: np.ndarray) -> np.ndarray:
    """Edges and outline in one colour on paper of another; alpha stays."""
    grey = cv2.cvtColor(rgba[..., :3], cv2.COLOR_RGB2GRAY)
    around = np.ones((3, 3), np.uint8)
    edges = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, around).astype(np.float32) * (
        float(rng.uniform(1, 4)) / 255
    )
    rim = cv2.morphologyEx(rgba[..., 3], cv2.MORPH_GRADIENT, around).astype(np.float32) / 255
    ink = np.clip(np.maximum(edges, rim), 0, 1)[..., None]
    paper, line = rng.uniform(170, 255, 3), rng.uniform(0, 90, 3)
    if rng.random() < 0.3:
        paper, line = line, paper
    return np.dstack([(paper + ink * (line - paper)).astype(np.uint8), rgba[..., 3]])


def clip_to(
    canvas_hw: tuple[int, int], patch_hw: tuple[int, int], x: int, y: int
) -> tuple[slice, slice, slice, slice]:
    """Where a patch with its top left corner at (x, y) meets the canvas: rows, columns; then its own."""
    top, left = max(0, y), max(0, x)
    bottom, right = min(canvas_hw[0], y + patch_hw[0]), min(canvas_hw[1], x + patch_hw[1])
    bottom, right = max(top, bottom), max(left, right)
    return slice(top, bottom), slice(left, right), slice(top - y, bottom - y), slice(left - x, right - x)


def blend(canvas: np.ndarray, patch: np.ndarray, x: int, y: int) -> None:
    """Lay (h, w, 4) uint8 RGBA over (H, W, 3) uint8 RGB at (x, y), in place."""
    rows, cols, own_rows, own_cols = clip_to(canvas.shape[:2], patch.shape[:2], x, y)
    part = patch[own_rows, own_cols]
    if not part.size:
        return
    weight = part[..., 3].astype(np.float32) * (1 / 255)
    front = cv2.cvtColor(part, cv2.COLOR_RGBA2RGB)
    canvas[rows, cols] = cv2.blendLinear(front, canvas[rows, cols], weight, 1 - weight)


def darken(canvas: np.ndarray, shade: np.ndarray, x: int, y: int) -> None:
    """Multiply the canvas by 1 - shade / 255; shade: (h, w) uint8 with its top left corner at (x, y)."""
    rows, cols, own_rows, own_cols = clip_to(canvas.shape[:2], shade.shape, x, y)
    part = shade[own_rows, own_cols]
    if part.size:
        keep = cv2.cvtColor(255 - part, cv2.COLOR_GRAY2RGB)
        canvas[rows, cols] = cv2.multiply(canvas[rows, cols], keep, scale=1 / 255)


def cast_shadow(
    canvas: np.ndarray, alpha: np.ndarray, x: int, y: int, lean: float, squash: float, depth: int
) -> None:
    """The silhouette laid on the ground behind its base: leaning, flattened, blurred; depth 0..255."""
    height, width = alpha.shape
    reach = int(abs(lean) * height) + 4
    tall = max(3, int(squash * height))
    blur = max(3, (height + width) // 16)
    out_w, out_h = width + 2 * reach, tall + 2 * blur
    # base row -> row tall + blur, top row -> row blur; what is `up` pixels above the base moves by lean * up
    matrix = np.array([[1, -lean, reach + lean * height], [0, squash, blur]], np.float32)
    shade = cv2.warpAffine(alpha, matrix, (out_w, out_h), flags=cv2.INTER_LINEAR)
    shade = cv2.convertScaleAbs(cv2.blur(shade, (blur, blur)), alpha=depth / 255)
    darken(canvas, shade, x - reach, y + height - tall - blur)


def contact_shadow(canvas: np.ndarray, alpha: np.ndarray, x: int, y: int, depth: int) -> None:
    """A soft dark band where the lowest part of the silhouette touches the ground."""
    height, width = alpha.shape
    foot = alpha[int(height * 0.9) :].max(0)
    thick = max(3, height // 12)
    shade = np.zeros((3 * thick, width + 4 * thick), np.uint8)
    shade[thick : 2 * thick, 2 * thick : 2 * thick + width] = foot
    shade = cv2.convertScaleAbs(cv2.blur(shade, (2 * thick + 1, 2 * thick - 1)), alpha=depth / 255)
    darken(canvas, shade, x - 2 * thick, y + height - 2 * thick)


class Easel:
    """A picture being painted, and whose each pixel is.

    rgb: (H, W, 3) uint8; owner: (H, W) uint8, 0 background, n the n-th object painted.
    """

    def __init__(self, rgb: np.ndarray) -> None:
        self.rgb = rgb
        self.owner = np.zeros(rgb.shape[:2], np.uint8)
        self._solid = [0]  # by object: pixels it has in full
        self._left = [0]  # by object: pixels still visible

    @property
    def count(self) -> int:
        """How many objects were painted."""
        return len(self._solid) - 1

    def fits(self, solid: np.ndarray, x: int, y: int, visible: float, overlap: float) -> bool:
        """Would all keep `visible` of their pixels, and the new one hide `overlap` of its own size at most?

        solid: (h, w) uint8, 255 where the object would be, its top left corner at (x, y).
        """
        rows, cols, own_rows, own_cols = clip_to(self.owner.shape, solid.shape, x, y)
        part = solid[own_rows, own_cols]
        inside = cv2.countNonZero(part) if part.size else 0
        if inside < 12 or (part.size < solid.size and inside < visible * cv2.countNonZero(solid)):
            return False
        under = cv2.bitwise_and(self.owner[rows, cols], part)
        count = cv2.countNonZero(under)
        if count == 0 or count > overlap * inside:
            return count == 0
        hidden = np.bincount(under.ravel(), minlength=len(self._left))
        return all(self._left[n] - hidden[n] >= visible * self._solid[n] for n in range(1, len(self._left)))

    def glow(self, patch_hw: tuple[int, int], x: int, y: int, pull: float = 0.12) -> np.ndarray:
        """(3,) gains that move an object a little toward the colour of what is around it."""
        rows, cols, _, _ = clip_to(self.owner.shape, patch_hw, x, y)
        around = np.array(cv2.mean(self.rgb[rows, cols])[:3], np.float32)
        return 1 + pull * (around / (around.sum() / 3 + 20) - 1)

    def paint(self, patch: np.ndarray, solid: np.ndarray, x: int, y: int) -> None:
        """Lay the patch on; it owns its solid pixels (255 in `solid`, of the patch's size)."""
        blend(self.rgb, patch, x, y)
        rows, cols, own_rows, own_cols = clip_to(self.owner.shape, solid.shape, x, y)
        part, region = solid[own_rows, own_cols], self.owner[rows, cols]
        hidden = np.bincount(cv2.bitwise_and(region, part).ravel(), minlength=len(self._left))
        self._left = [left - int(gone) for left, gone in zip(self._left, hidden, strict=True)]
        region[part > 0] = len(self._left)
        self._left.append(cv2.countNonZero(part))
        self._solid.append(cv2.countNonZero(solid))


def degrade(rng: np.random.Generator, rgb: np.ndarray) -> np.ndarray:
    """What a camera and a file format do: exposure, tint, blur, noise, JPEG; each now and then."""
    height, width = rgb.shape[:2]
    tone, blur, noise, jpeg = rng.random(4)
    if tone < 0.5:
        ramp = 255 * (np.arange(256) / 255) ** float(rng.uniform(0.75, 1.35))
        table = np.clip(ramp[:, None] * rng.uniform(0.88, 1.1, 3), 0, 255).astype(np.uint8)
        rgb = cv2.LUT(rgb, table[None])
    if blur < 0.15:
        rgb = cv2.GaussianBlur(rgb, (5, 5), float(rng.uniform(0.4, 1.2)))
    elif blur < 0.25:
        small = float(rng.uniform(0.5, 0.9))
        low = cv2.resize(rgb, (int(width * small), int(height * small)), interpolation=cv2.INTER_AREA)
        rgb = cv2.resize(low, (width, height), interpolation=cv2.INTER_LINEAR)
    if noise < 0.25:
        start = int(rng.integers(max(1, len(NOISE) - rgb.size)))
        grain = np.resize(NOISE[start : start + rgb.size], rgb.shape)
        rgb = cv2.addWeighted(rgb, 1, grain, float(rng.uniform(0.05, 0.4)), 0, dtype=cv2.CV_8U)
    if jpeg < 0.2:
        _, data = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])
        rgb = cv2.imdecode(data, cv2.IMREAD_COLOR)  # channel order is the same on the way in and out
    return rgb
