"""What is behind an answer, for those who want to look: the raw text, both frames, all masks considered.

visit.view = replace(visit.view, inspection=inspect(pipeline, visit.result, 0))
"""

from __future__ import annotations

from typing import Any

from page.stage import mask_uri
from segzero.contract import Box, Result, Target
from segzero.pictures import color_of
from segzero.pipeline import Pipeline

THUMBNAIL_PX = 320  # the longer side of a mask considered
MARGIN = 0.35  # what is shown around the box, in parts of its sides


def inspect(pipeline: Pipeline, result: Result, index: int) -> dict[str, Any]:
    """Plain values for the browser: of the whole answer, and the masks considered for object `index`."""
    frame = pipeline.preset.frame
    written = pipeline.preset.parse(result.raw, result.image_wh).written
    return {
        "raw": result.raw,
        "problem": result.problem,
        "frame": _size(frame.numbers_wh(result.image_wh)),
        "picture": _size(result.image_wh),
        "seconds": [[name, f"{seconds:.2f} s"] for name, seconds in result.seconds.items()],
        "objects": [
            {
                "number": number,
                "color": color_of(number - 1),
                "written": _where(written[number - 1]) if number <= len(written) else "",
                "target": _where(target),
            }
            for number, target in enumerate(result.targets, start=1)
        ],
        "number": index + 1,
        **_considered(pipeline, result, index),
    }


def _considered(pipeline: Pipeline, result: Result, index: int) -> dict[str, Any]:
    """window: the part of the picture around the object, xyxy; candidates: the masks there, best first."""
    if not 0 <= index < len(result.targets):
        return {"window": None, "candidates": []}
    masks, scores = pipeline.candidates(result, index)
    x1, y1, x2, y2 = window = _around(result.targets[index].box_xyxy, result.image_wh)
    scale = min(1.0, THUMBNAIL_PX / max(x2 - x1, y2 - y1))
    wh = tuple(max(1, round(side * scale)) for side in (x2 - x1, y2 - y1))
    candidates = [
        {"mask": mask_uri(mask[y1:y2, x1:x2], wh), "color": color_of(index), "score": f"{score:.2f}"}
        for mask, score in zip(masks, scores, strict=True)
    ]
    return {"window": window, "candidates": candidates}


def _around(box: Box, wh: tuple[int, int]) -> tuple[int, int, int, int]:
    """A box with some margin, in whole pixels of the picture, at least one each way."""
    (x1, y1, x2, y2), (width, height) = box, wh
    across, down = MARGIN * (x2 - x1), MARGIN * (y2 - y1)
    left, top = min(max(int(x1 - across), 0), width - 1), min(max(int(y1 - down), 0), height - 1)
    right, bottom = min(int(x2 + across) + 1, width), min(int(y2 + down) + 1, height)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _size(wh: tuple[int, int]) -> str:
    return f"{wh[0]} × {wh[1]}"


def _where(target: Target) -> str:
    box = ", ".join(f"{value:.0f}" for value in target.box_xyxy)
    return f"{box}  ·  " + "  ".join(f"({x:.0f}, {y:.0f})" for x, y in target.points_xy)
