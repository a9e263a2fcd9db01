"""Draw what lies behind a scene's objects: a photograph, a table before a wall, tiles or soft colour.

canvas, horizon = draw_backdrop(rng, (224, 168), photos, tiles)
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np


def draw_backdrop(
    rng: np.random.Generator, wh: tuple[int, int], photos: Sequence[np.ndarray], tiles: Sequence[np.ndarray]
) -> tuple[np.ndarray, float]:
    """(h, w, 3) uint8 RGB, writable, and the height in pixels at which the ground begins.

    photos, tiles: (H, W, 3) uint8 RGB each; either may be empty, then colours are drawn instead.
    """
    kind = rng.random()
    horizon = wh[1] * float(rng.uniform(0.3, 0.65))
    if kind < 0.45 and photos:
        return _crop(rng, wh, photos[rng.integers(len(photos))]), horizon
    if kind < 0.68:
        return _table_top(rng, wh, photos, tiles, round(horizon)), horizon
    if kind < 0.78:
        return _tiled(rng, wh, _tile(rng, tiles)), horizon
    return _soft(rng, wh), horizon


def _crop(rng: np.random.Generator, wh: tuple[int, int], photo: np.ndarray) -> np.ndarray:
    height, width = photo.shape[:2]
    most = min(width / wh[0], height / wh[1])  # the largest scale that still fits
    scale = most * float(rng.uniform(0.45, 1.0))
    cut_w, cut_h = max(2, int(wh[0] * scale)), max(2, int(wh[1] * scale))
    x, y = int(rng.integers(width - cut_w + 1)), int(rng.integers(height - cut_h + 1))
    cut = photo[y : y + cut_h, x : x + cut_w]
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    how = cv2.INTER_AREA if scale > 1.3 else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(cut), wh, interpolation=how)


def _palette(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 3) uint8 RGB, near each other in hue, mostly muted, light more often than dark."""
    hsv = np.empty((1, count, 3), np.uint8)
    hsv[0, :, 0] = (rng.integers(180) + rng.integers(-14, 15, count)) % 180
    hsv[0, :, 1] = np.clip(rng.integers(0, 190) + rng.integers(-30, 31, count), 0, 255)
    hsv[0, :, 2] = np.clip(rng.integers(50, 250) + rng.integers(-35, 36, count), 0, 255)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0]


def _soft(rng: np.random.Generator, wh: tuple[int, int]) -> np.ndarray:
    """Flat colour, gradient or clouds: a few random colours, enlarged smoothly."""
    side = (1, 2, 2, 3, 5, 9)[rng.integers(6)]
    grid = _palette(rng, side * side).reshape(side, side, 3)
    return cv2.resize(grid, wh, interpolation=cv2.INTER_CUBIC if side > 2 else cv2.INTER_LINEAR)


def _drawn_tile(rng: np.random.Generator) -> np.ndarray:
    """A seamless 48 px tile: checks, stripes, bricks or speckles in two or three colours."""
    colors = _palette(rng, 3)
    y, x = np.mgrid[:48, :48]
    kind = rng.integers(4)
    if kind == 0:
        pick = (x // 24 + y // 24) % 2
    elif kind == 1:
        pick = (x // (6 * int(rng.integers(1, 3)))) % 2
    elif kind == 2:
        pick = 2 * (((y % 24) < 2) | (((x + 24 * (y // 24)) % 48) < 2))
    else:
        pick = rng.integers(0, 3, (48, 48))
    tile = colors[pick]
    return cv2.blur(tile, (3, 3), borderType=cv2.BORDER_REFLECT) if kind == 3 else tile


def _tile(rng: np.random.Generator, tiles: Sequence[np.ndarray]) -> np.ndarray:
    if tiles and rng.random() < 0.6:
        return tiles[rng.integers(len(tiles))]
    return _drawn_tile(rng)


def _tiled(rng: np.random.Generator, wh: tuple[int, int], tile: np.ndarray) -> np.ndarray:
    """The tile repeated over the canvas, turned and scaled."""
    step = max(tile.shape[:2]) / (min(wh) * float(rng.uniform(0.2, 0.9)))  # tile pixels per canvas pixel
    angle = float(rng.normal(0, 0.06))
    cos, sin = np.cos(angle) * step, np.sin(angle) * step
    matrix = np.array([[cos, -sin, rng.random() * 48], [sin, cos, rng.random() * 48]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(tile, matrix, wh, flags=flags, borderMode=cv2.BORDER_WRAP)


def _table_top(
    rng: np.random.Generator,
    wh: tuple[int, int],
    photos: Sequence[np.ndarray],
    tiles: Sequence[np.ndarray],
    horizon: int,
) -> np.ndarray:
    """A wall down to the horizon, a surface in perspective below it."""
    width, height = wh
    canvas = np.empty((height, width, 3), np.uint8)
    kind = rng.random()
    if kind < 0.4 and photos:  # a room or landscape out of focus
        small = _crop(rng, (max(2, width // 4), max(2, horizon // 4)), photos[rng.integers(len(photos))])
        canvas[:horizon] = cv2.resize(small, (width, horizon), interpolation=cv2.INTER_CUBIC)
    elif kind < 0.6:
        canvas[:horizon] = _tiled(rng, (width, horizon), _tile(rng, tiles))
    else:
        canvas[:horizon] = _soft(rng, (width, horizon))
    tile, depth = _tile(rng, tiles), height - horizon
    span = max(tile.shape[:2]) * float(rng.uniform(0.8, 2.5))  # tile pixels across the near edge
    far = span * float(rng.uniform(1.3, 2.2))
    corners = np.array([[0, 0], [width, 0], [width, depth], [0, depth]], np.float32)
    shift = rng.random() * 48
    ground = np.array([[-far / 2, 0], [far / 2, 0], [span / 2, span], [-span / 2, span]]) + (shift, 0)
    matrix = cv2.getPerspectiveTransform(corners, ground.astype(np.float32))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    surface = cv2.warpPerspective(tile, matrix, (width, depth), flags=flags, borderMode=cv2.BORDER_WRAP)
    canvas[horizon:] = surface
    return canvas
