"""Square crops around objects: where they lie in a picture, cutting them out, putting masks back.

    window = window_around(box_xyxy, points_xy, scale=1.6)
    crop = cut(rgb, window, 128)                              # (128, 128, 3)
    mask = paste(logits, window, (width, height))             # (H, W) bool

Frames: "picture" is the original image, "crop" the small square a model sees. Pixel i covers [i, i + 1), so
its centre is i + 0.5; a `Window` maps between the two frames in these continuous coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

FAR_OUTSIDE = -20.0  # the logit of a picture pixel that the crop does not cover
LINEAR = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
STRIP_PX = 16384  # OpenCV warps at most 32767 pixels a side


@dataclass(frozen=True)
class Window:
    """What one crop shows of the picture: a square from (x0, y0), `side` long, in continuous picture px."""

    x0: float
    y0: float
    side: float


def window_around(box_xyxy: np.ndarray, points_xy: np.ndarray, scale: float) -> Window:
    """The crop for a box and its positive points: a square around both, `scale` times their larger extent.

    box_xyxy: (4,), points_xy: (P, 2), picture px. A box without extent still gets 8 picture pixels.
    """
    corners = np.concatenate(
        [np.asarray(box_xyxy, np.float64).reshape(2, 2), np.asarray(points_xy, np.float64).reshape(-1, 2)]
    )
    low, high = corners.min(0), corners.max(0) + 1.0
    side = max(float((high - low).max()) * scale, 8.0)
    x0, y0 = (low + high) / 2 - side / 2
    return Window(float(x0), float(y0), side)


def cut(picture: np.ndarray, window: Window, crop_px: int, padding=0) -> np.ndarray:
    """The window of a (H, W) or (H, W, 3) array as (crop_px, crop_px[, 3]), antialiased when it shrinks.

    Only the part inside the picture is read, so a window far larger than a thin picture costs nothing.
    Same dtype as `picture`; `padding` fills what lies outside it.
    """
    height, width = picture.shape[:2]
    left, top = max(0, int(np.floor(window.x0)) - 1), max(0, int(np.floor(window.y0)) - 1)
    right = min(width, int(np.ceil(window.x0 + window.side)) + 1)
    bottom = min(height, int(np.ceil(window.y0 + window.side)) + 1)
    shape = (crop_px, crop_px) + picture.shape[2:]
    if right <= left or bottom <= top:
        return np.broadcast_to(np.asarray(padding, picture.dtype), shape).copy()
    patch = np.ascontiguousarray(picture[top:bottom, left:right])
    scale = crop_px / window.side  # crop px per picture px
    if scale < 1:  # area-average first, then place exactly
        small = (max(1, round(patch.shape[1] * scale)), max(1, round(patch.shape[0] * scale)))
        fx, fy = small[0] / patch.shape[1], small[1] / patch.shape[0]
        patch = cv2.resize(patch, small, interpolation=cv2.INTER_AREA)
    else:
        fx = fy = 1.0
    # crop pixel centre u + 0.5 -> picture x0 + (u + 0.5) / scale -> patch index (x - left) * fx - 0.5
    matrix = np.array(
        [
            [fx / scale, 0, (window.x0 - left + 0.5 / scale) * fx - 0.5],
            [0, fy / scale, (window.y0 - top + 0.5 / scale) * fy - 0.5],
        ]
    )
    return cv2.warpAffine(
        patch, matrix, (crop_px, crop_px), flags=LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=padding
    )


def paste(logits: np.ndarray, window: Window, image_wh: tuple[int, int]) -> np.ndarray:
    """Mask logits of a crop, (S, S) float32, as a (H, W) bool mask of the picture; False outside it."""
    width, height = image_wh
    mask = np.zeros((height, width), bool)
    left, top = max(0, int(np.floor(window.x0))), max(0, int(np.floor(window.y0)))
    right = min(width, int(np.ceil(window.x0 + window.side)))
    bottom = min(height, int(np.ceil(window.y0 + window.side)))
    if right <= left or bottom <= top:
        return mask
    scale = logits.shape[0] / window.side
    for start in range(left, right, STRIP_PX):
        stop = min(right, start + STRIP_PX)
        for first in range(top, bottom, STRIP_PX):
            last = min(bottom, first + STRIP_PX)
            matrix = np.array(
                [
                    [scale, 0, (start + 0.5 - window.x0) * scale - 0.5],
                    [0, scale, (first + 0.5 - window.y0) * scale - 0.5],
                ]
            )
            region = cv2.warpAffine(
                logits,
                matrix,
                (stop - start, last - first),
                flags=LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=FAR_OUTSIDE,
            )
            mask[first:last, start:stop] = region > 0
    return mask


def seen_in(now: Window, was: Window, logits: np.ndarray) -> np.ndarray:
    """Logits (M, S, S) of the window `was` as (M, S, S) of the window `now`, which lies within it."""
    size = logits.shape[-1]
    scale = size / was.side  # logits per picture px
    part = Window((now.x0 - was.x0) * scale, (now.y0 - was.y0) * scale, now.side * scale)
    return np.stack([cut(each, part, size) for each in logits])


def to_crop(xy: np.ndarray, window: Window, crop_px: int) -> np.ndarray:
    """Pixel positions (..., 2) of the picture as pixel positions of the crop, clamped into it; float32."""
    moved = (np.asarray(xy, np.float64) + 0.5 - (window.x0, window.y0)) * (crop_px / window.side) - 0.5
    return np.clip(moved, 0, crop_px - 1).astype(np.float32)
