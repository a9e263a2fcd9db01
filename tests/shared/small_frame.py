"""A picture of 60 x 40 px and a frame whose scale is easy by hand, for tests of training rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segzero.contract import MINI as BUNDLED
from segzero.contract import Frame

WH = (60, 40)
MINI = replace(BUNDLED, frame=Frame(frame_px=168))  # 2.8 and 4.2 times the picture: numbers to check by hand


def box_mask(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    """(40, 60) bool: the pixels of an inclusive box."""
    mask = np.zeros((40, 60), bool)
    mask[y1 : y2 + 1, x1 : x2 + 1] = True
    return mask
