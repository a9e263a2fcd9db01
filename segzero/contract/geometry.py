"""Boxes, points and frames: the arithmetic every other part agrees on.

    from segzero.contract import Target, box_iou, mask_to_box

Conventions: a point is (x, y), a box is xyxy, sizes are (width, height) and end in `_wh`, arrays are (H, W).
Nothing here knows a model; numpy and Pillow only, scipy inside the one function that needs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True)
class Target:
    """One object the reasoner points at, in pixels of the original picture.

    box_xyxy: x1 <= x2 and y1 <= y2, finite.
    points_xy: one or two positive points; empty when the answer named none.
    label: what the answer calls it, in one line; "" in dialects without labels.
    Training data is prepared inside the frame: there the frame itself is the picture.
    Raises ValueError for anything else.
    """

    box_xyxy: Box
    points_xy: tuple[Point, ...] = ()
    label: str = ""

    def __post_init__(self) -> None:
        box = tuple(float(v) for v in self.box_xyxy)
        points = tuple((float(x), float(y)) for x, y in self.points_xy)
        if len(box) != 4 or not all(map(math.isfinite, box)):
            raise ValueError(f"a box is four finite numbers, not {self.box_xyxy!r}")
        if box[0] > box[2] or box[1] > box[3]:
            raise ValueError(f"a box is (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2, not {self.box_xyxy!r}")
        if len(points) > 2 or not all(math.isfinite(v) for point in points for v in point):
            raise ValueError(f"a target has at most two finite points, not {self.points_xy!r}")
        object.__setattr__(self, "box_xyxy", box)
        object.__setattr__(self, "points_xy", points)


def multiply(value: float, factor: float) -> float:
    """The plain way to scale a coordinate; dialects bring their own, which round."""
    return value * factor


def scale_point(
    point_xy: Point,
    from_wh: tuple[int, int],
    to_wh: tuple[int, int],
    scale: Callable[[float, float], float] = multiply,
) -> Point:
    """A point of a picture of size `from_wh`, in a picture of size `to_wh`; not clipped."""
    return scale(point_xy[0], to_wh[0] / from_wh[0]), scale(point_xy[1], to_wh[1] / from_wh[1])


def scale_box(
    box_xyxy: Box,
    from_wh: tuple[int, int],
    to_wh: tuple[int, int],
    scale: Callable[[float, float], float] = multiply,
) -> Box:
    """A box of a picture of size `from_wh`, in a picture of size `to_wh`; not clipped."""
    corners = (scale_point(corner, from_wh, to_wh, scale) for corner in (box_xyxy[:2], box_xyxy[2:]))
    return tuple(value for corner in corners for value in corner)


def scale_target(target: Target, from_wh: tuple[int, int], to_wh: tuple[int, int]) -> Target:
    """The same object in the same picture at another size, unrounded."""
    points = tuple(scale_point(point, from_wh, to_wh) for point in target.points_xy)
    return Target(scale_box(target.box_xyxy, from_wh, to_wh), points, target.label)


def clip_point(point_xy: Point, wh: tuple[int, int]) -> Point:
    """The nearest pixel of a picture of size `wh`: x in 0..w-1, y in 0..h-1."""
    return min(max(point_xy[0], 0), wh[0] - 1), min(max(point_xy[1], 0), wh[1] - 1)


def clip_box(box_xyxy: Box, wh: tuple[int, int]) -> Box | None:
    """The part of a box inside a picture of size `wh` (edges 0..w and 0..h); None when no area is left."""
    x1, y1 = max(box_xyxy[0], 0), max(box_xyxy[1], 0)
    x2, y2 = min(box_xyxy[2], wh[0]), min(box_xyxy[3], wh[1])
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def inside(point_xy: Point, box_xyxy: Box) -> bool:
    """Whether a point lies in a box, its edges included."""
    return box_xyxy[0] <= point_xy[0] <= box_xyxy[2] and box_xyxy[1] <= point_xy[1] <= box_xyxy[3]


def box_iou(a: Box, b: Box, *, inclusive: bool = False) -> float:
    """Intersection over union of two xyxy boxes of the same frame, 0..1.

    inclusive: count pixels, x2 - x1 + 1 across, as the published rewards do; then one pixel has area 1.
    Two boxes without area have IoU 0.
    """
    extra = 1 if inclusive else 0
    across = min(a[2], b[2]) - max(a[0], b[0]) + extra
    down = min(a[3], b[3]) - max(a[1], b[1]) + extra
    common = max(across, 0) * max(down, 0)
    area_a = (a[2] - a[0] + extra) * (a[3] - a[1] + extra)
    area_b = (b[2] - b[0] + extra) * (b[3] - b[1] + extra)
    union = area_a + area_b - common
    return common / union if union > 0 else 0.0


def mask_to_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The inclusive xyxy extent of a mask, (H, W) bool. Raises ValueError when nothing is set."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        raise ValueError("an empty mask has no box")
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def mask_to_points(mask: np.ndarray, count: int = 1) -> tuple[tuple[int, int], ...]:
    """The centres of the largest inscribed circles of a mask, (H, W) bool, as the published data has them.

    The first is the mask pixel farthest from the background. The second (count=2) is the best such pixel
    among those farther from the first than the median mask pixel is; a mask without such pixels repeats the
    first. Ties go to the first in reading order. Raises ValueError for an empty mask or another count.
    """
    if count not in (1, 2):
        raise ValueError(f"a mask gives one or two points, not {count}")
    x1, y1, x2, y2 = mask_to_box(mask)
    left, top = max(x1 - 1, 0), max(y1 - 1, 0)
    # The nearest background pixel is at most one outside the box, so this crop changes no distance.
    depth = _depth(np.ascontiguousarray(mask[top : y2 + 2, left : x2 + 2], dtype=bool))  # (h, w) float
    row, column = np.unravel_index(np.argmax(depth), depth.shape)
    first = (int(column) + left, int(row) + top)
    if count == 1:
        return (first,)
    rows, columns = np.nonzero(depth)
    distance = np.hypot(columns - column, rows - row)
    far = distance > np.median(distance)
    if not far.any():
        return first, first
    rows, columns = rows[far], columns[far]
    best = np.argmax(depth[rows, columns])
    return first, (int(columns[best]) + left, int(rows[best]) + top)


def _depth(mask: np.ndarray) -> np.ndarray:
    """Euclidean distance of each mask pixel to the nearest background pixel, 0 on the background. (H, W)"""
    from scipy.ndimage import distance_transform_edt  # a tenth of a second to import, and only data needs it

    if mask.all():  # no background at all: the picture's border stands in for it
        return distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    return distance_transform_edt(mask)
