"""Draw a result on its picture: a tint and an outline per object, its box, its points, its number and name.

overlay(image, pipeline.run(image, "What keeps the rain off?")).save("overlay.png")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from segzero.contract import Result, Target

# Okabe and Ito's colours, told apart with every common kind of colour blindness. Those that stand out best
# come first; black, which hardly does, is left out. The page draws with the same ones.
PALETTE = ("#56B4E9", "#D55E00", "#F0E442", "#009E73", "#CC79A7", "#0072B2", "#E69F00")
LINES_PER_SIDE = 400  # an outline is as wide as the picture's shorter side divided by this, and at least 1 px


def color_of(index: int) -> str:
    """The colour of object `index` (from 0) as "#RRGGBB"."""
    return PALETTE[index % len(PALETTE)]


def overlay(
    image: Image.Image, result: Result, *, boxes: bool = True, points: bool = True, opacity: float = 0.45
) -> Image.Image:
    """A new RGB picture of the same size with every object of the result drawn on it.

    image: the upright picture the result is about; opacity: of the tint, 0 to 1.
    Raises ValueError when the picture is not of the size that the result was made from.
    """
    if image.size != tuple(result.image_wh):
        raise ValueError(
            f"The result is for a picture of {result.image_wh} pixels, this one has {image.size}."
        )
    pixels = np.array(image.convert("RGB"))  # (H, W, 3) uint8, a copy
    width_px = max(1, round(min(image.size) / LINES_PER_SIDE))
    for index, mask in enumerate(result.masks):
        _tint(pixels, mask, color_of(index), opacity, width_px)
    drawn = Image.fromarray(pixels)
    pen = ImageDraw.Draw(drawn)
    for index, target in enumerate(result.targets):
        if boxes:
            number = str(index + 1) if len(result.targets) > 1 else ""
            _draw_box(pen, target, color_of(index), width_px, caption=f"{number} {target.label}".strip())
        if points:
            _draw_points(pen, target, color_of(index), radius_px=3 * width_px)
    return drawn


def inner_edge(mask: np.ndarray, width_px: int = 1) -> np.ndarray:
    """mask (H, W) bool -> (H, W) bool: its pixels at most `width_px` steps from a pixel outside the mask.

    Beyond the picture counts as inside, so an object cut off by the picture's border has no outline there.
    """
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    core = cv2.erode(mask.astype(np.uint8), cross, iterations=width_px)
    return mask & (core == 0)


def _tint(pixels: np.ndarray, mask: np.ndarray, color: str, opacity: float, width_px: int) -> None:
    """Blend `color` into pixels (H, W, 3), in place, where the mask (H, W) is, and draw the outline."""
    if not mask.any():
        return
    # Only the mask's own rectangle, and the pixels around it that make its edge: pictures may be huge.
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    window = (
        slice(max(0, rows[0] - 1), rows[-1] + 2),
        slice(max(0, columns[0] - 1), columns[-1] + 2),
    )
    part, inside = pixels[window], mask[window]
    edge = inner_edge(inside, width_px)
    for channel in range(3):
        value = int(color[1 + 2 * channel : 3 + 2 * channel], 16)
        tinted = np.rint(np.arange(256) * (1 - opacity) + value * opacity).astype(
            np.uint8
        )  # of every old value
        plane = part[..., channel]
        np.copyto(plane, tinted[plane], where=inside)
        plane[edge] = value


def _draw_box(pen: ImageDraw.ImageDraw, target: Target, color: str, width_px: int, *, caption: str) -> None:
    x1, y1, x2, y2 = target.box_xyxy
    pen.rectangle((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), outline=color, width=width_px)
    if caption:
        font = ImageFont.load_default(size=max(10, 8 * width_px))
        left, top, right, bottom = pen.textbbox((x1, y1), caption, font=font)
        margin = 2 * width_px
        pen.rectangle((x1, y1, right + margin, bottom + margin), fill=color)
        pen.text((x1 + margin / 2, y1 + margin / 2), caption, font=font, fill="black")


def _draw_points(pen: ImageDraw.ImageDraw, target: Target, color: str, radius_px: int) -> None:
    for x, y in target.points_xy:
        pen.circle((x, y), radius_px, fill=color, outline="white", width=max(1, radius_px // 3))
