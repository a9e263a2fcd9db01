"""What the tests of `segzero prepare` share: small masks, pictures, and the command itself.

prepare("table", "mine/q.csv") == 0
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from segzero.__main__ import main

W, H = 12, 8


def rectangle(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    """(H, W) bool, set from x1 to x2 and from y1 to y2, both included."""
    mask = np.zeros((H, W), bool)
    mask[y1 : y2 + 1, x1 : x2 + 1] = True
    return mask


def polygon(x1: int, y1: int, x2: int, y2: int) -> list[list[int]]:
    return [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]


def coco_polygon(x1: int, y1: int, x2: int, y2: int) -> list[list[int]]:
    """COCO's coordinates are of pixels' corners: this covers x1 to x2 - 1 and y1 to y2 - 1."""
    return [[x1, y1, x2, y1, x2, y2, x1, y2]]


def picture(path: Path, color: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (W, H), color).save(path)
    return path


def prepare(*args: object) -> int:
    return main(["prepare", *map(str, args), "--out", "out"])
