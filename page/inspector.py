"""What is behind an answer, for those who want to look: the raw text, both frames, all masks considered.

visit.view = replace(visit.view, inspection=inspect(pipeline, visit.result, 0))
"""

from __future__ import annotations

from typing import Any

from page.stage import mask_uri
from segzero.answer import parse_answer
from segzero.draw import color_of
from segzero.geometry import Target
from segzero.pipeline import Pipeline
from segzero.result import Result

THUMBNAIL_PX = 320  # the longer side of a mask considered


def inspect(pipeline: Pipeline, result: Result, index: int) -> dict[str, Any]:
    """Plain values for the browser: of the whole answer, and the masks considered for object `index`."""
    frame = (pipeline.preset.frame_px,) * 2
    written = parse_answer(result.raw, pipeline.preset.dialect, frame, frame).targets
    return {
        "raw": result.raw,
        "problem": result.problem,
        "frame": _size(frame),
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
        "candidates": _candidates(pipeline, result, index) if index < len(result.targets) else [],
    }


def _candidates(pipeline: Pipeline, result: Result, index: int) -> list[dict[str, Any]]:
    masks, scores = pipeline.candidates(result, index)
    scale = min(1.0, THUMBNAIL_PX / max(result.image_wh))
    wh = tuple(max(1, round(side * scale)) for side in result.image_wh)
    return [
        {"mask": mask_uri(mask, wh), "color": color_of(index), "score": f"{score:.2f}"}
        for mask, score in zip(masks, scores, strict=True)
    ]


def _size(wh: tuple[int, int]) -> str:
    return f"{wh[0]} × {wh[1]}"


def _where(target: Target) -> str:
    box = ", ".join(f"{value:.0f}" for value in target.box_xyxy)
    return f"{box}  ·  " + "  ".join(f"({x:.0f}, {y:.0f})" for x, y in target.points_xy)
