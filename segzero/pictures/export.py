"""Take a result away: as JSON that can be read back and drawn again, as masks and cut-outs, all in one zip.

    Path("answer.json").write_text(json.dumps(to_json(result)))
    overlay(image, from_json(json.loads(Path("answer.json").read_text()))).save("overlay.png")
    save_zip(result, "answer.zip")

The JSON, version 1:

    {"version": 1, "preset": "mini", "question": "…", "image": {"width": 640, "height": 480},
     "status": "ok", "problem": "", "thinking": "…", "raw": "…", "tokens": 64, "seconds": {"total": 1.1, …},
     "targets": [{"label": "", "box_xyxy": [x1, y1, x2, y2], "points_xy": [[x, y]],
                  "clicks": [[x, y, true]], "score": 0.94, "mask": {"size": [480, 640], "counts": "…"}}]}

Boxes and points are in pixels of the upright picture. Clicks are the points of corrections, true to add and
false to remove. A mask is run-length encoded as in COCO, its size (H, W). Where several answers voted,
"confidence" beside the problem says how far they agree, 0..1.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from segzero.contract import Result
from segzero.pictures.draw import overlay
from segzero.pictures.files import written_whole

VERSION = 1

_PNG = {
    "format": "PNG",
    "compress_level": 1,
}  # 12 megapixels in 1 s; at the usual level, 6, in 5 s
_JPEG = {"format": "JPEG", "quality": 92, "subsampling": 0}  # outlines in full colour


def to_json(result: Result) -> dict[str, Any]:
    """Everything about a result but its picture, in values that json.dumps takes."""
    width, height = result.image_wh
    agreed = {} if result.confidence is None else {"confidence": float(result.confidence)}
    return {
        "version": VERSION,
        "preset": result.preset,
        "question": result.question,
        "image": {"width": int(width), "height": int(height)},
        "status": result.status,
        "problem": result.problem,
        **agreed,
        "thinking": result.thinking,
        "raw": result.raw,
        "tokens": result.tokens,
        "seconds": {name: float(seconds) for name, seconds in result.seconds.items()},
        "targets": [
            {
                "label": target.label,
                "box_xyxy": [float(value) for value in target.box_xyxy],
                "points_xy": [[float(x), float(y)] for x, y in target.points_xy],
                "clicks": [[float(x), float(y), add] for (x, y), add in result.clicks.get(index, ())],
                "score": float(score),
                "mask": encode_mask(mask),
            }
            for index, (target, mask, score) in enumerate(
                zip(result.targets, result.masks, result.scores, strict=True)
            )
        ],
    }


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """mask (H, W) bool -> COCO run-length encoding, {"size": [H, W], "counts": str}."""
    encoded = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def mask_image(mask: np.ndarray) -> Image.Image:
    """mask (H, W) bool -> a grey picture, 255 where the mask is and 0 elsewhere."""
    return Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0)))


def cutout(image: Image.Image, mask: np.ndarray) -> Image.Image:
    """A new RGBA picture, same size: what is inside mask (H, W) bool, and nothing, transparent, outside."""
    pixels = np.zeros((*mask.shape, 4), np.uint8)
    pixels[mask, :3] = np.asarray(image.convert("RGB"))[mask]
    pixels[mask, 3] = 255
    return Image.fromarray(pixels)


def save_zip(result: Result, file: str | Path | BinaryIO) -> None:
    """Write everything into one zip, at the picture's full size.

    result.json (as to_json), picture.png (upright, as the masks), overlay.jpg; mask-1.png, cutout-1.png, …
    for each object, and mask-all.png, cutout-all.png for their union. A file appears whole or not at all.
    Raises ValueError for a result that came without its picture, OSError when the disk refuses.
    """
    if isinstance(file, (str, Path)):
        with written_whole(Path(file)) as part, part.open("wb") as whole:
            return save_zip(result, whole)
    picture = result.picture
    if picture is None:
        raise ValueError("This result came without its picture. Read it back with its picture first.")
    masks = {str(number): mask for number, mask in enumerate(result.masks, start=1)}
    with zipfile.ZipFile(file, "w") as archive:  # not compressed again: the pictures are already
        text = json.dumps(to_json(result), ensure_ascii=False) + "\n"
        archive.writestr("result.json", text, zipfile.ZIP_DEFLATED)
        archive.writestr("picture.png", _encoded(picture, _PNG))
        archive.writestr("overlay.jpg", _encoded(overlay(picture, result), _JPEG))
        for name, mask in {**masks, "all": result.mask}.items():
            archive.writestr(f"mask-{name}.png", _encoded(mask_image(mask), _PNG))
            archive.writestr(f"cutout-{name}.png", _encoded(cutout(picture, mask), _PNG))


def _encoded(image: Image.Image, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()
