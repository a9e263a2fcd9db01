"""How far the mini gets on real photographs: four that scikit-image ships, outlined by hand.

    pip install scikit-image
    python -m train.mini.photographs --sheet photographs.webp     # a table -> assets/mini/photographs.json

Each photo is tried three ways: the segmenter alone from the true box, the whole pipeline by name, and by a
question that takes thought. The outlines (photographs.json beside this file) are right to a few percent IoU,
the motorcycle with its gaps filled.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import segzero
from segzero.contract import Target, box_iou, mask_to_box
from segzero.pictures import overlay
from train.mini.evaluate import iou

OUTLINES = Path(__file__).with_suffix(".json")
RESULTS = Path("assets/mini/photographs.json")
TILE_PX = 320


@dataclass(frozen=True)
class Photo:
    """file: in scikit-image's data folder; question: that `thing` answers; outline: its, (x, y) in pixels."""

    file: str
    licence: str  # "" where none is stated: such a photo stays off the sheet
    thing: str
    question: str
    outline: list[list[int]]

    def mask(self, size: tuple[int, int]) -> np.ndarray:
        """(H, W) bool for a photo of size (W, H)."""
        canvas = Image.new("1", size)
        ImageDraw.Draw(canvas).polygon([tuple(xy) for xy in self.outline], fill=1)
        return np.asarray(canvas)


def folder() -> Path:
    """Where scikit-image keeps its pictures. Raises ModuleNotFoundError without it; imports nothing of it."""
    found = importlib.util.find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("scikit-image is not installed: pip install scikit-image")
    return Path(found.submodule_search_locations[0]) / "data"


def judge(pipeline, photo: Photo, image: Image.Image) -> tuple[dict, list[Image.Image]]:
    """One line of the table, and the overlays it came from."""
    truth = photo.mask(image.size)
    box = tuple(map(float, mask_to_box(truth)))
    line: dict = {"thing": photo.thing}
    pictures = []
    for kind, question in (("by_name", f"the {photo.thing}"), ("by_question", photo.question)):
        result = pipeline.run(image, question)
        boxes = [box_iou(target.box_xyxy, box) for target in result.targets]
        line[kind] = {
            "question": question,
            "thinking": result.thinking,
            "box_iou": round(max(boxes, default=0.0), 3),
            "mask_iou": round(iou(result.mask, truth), 3),
        }
        pictures.append(overlay(image, result))
    target = Target(box, ())
    found = pipeline.segmenter.segment(image, [target])
    line["from_true_box"] = {"mask_iou": round(iou(found.masks[0], truth), 3)}
    shown = replace(result, targets=[target], masks=found.masks, scores=found.scores)
    return line, [overlay(image, shown), *pictures]


def sheet(rows: list[list[Image.Image]]) -> Image.Image:
    """A row a photo: from the true box, asked by name, asked a question."""
    whole = Image.new("RGB", (TILE_PX * len(rows[0]), TILE_PX * 2 // 3 * len(rows)), "white")
    for down, row in enumerate(rows):
        for across, picture in enumerate(row):
            tile = picture.convert("RGB").resize((TILE_PX, TILE_PX * 2 // 3))
            whole.paste(tile, (across * TILE_PX, down * TILE_PX * 2 // 3))
    return whole


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reasoner", help="folder of another reasoner than the bundled one")
    parser.add_argument("--segmenter", help="folder of another segmenter than the bundled one")
    parser.add_argument("--sheet", type=Path, help="picture of what was found, to write")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    try:
        pictures = folder()
    except ModuleNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    pipeline = segzero.load("mini", reasoner=args.reasoner, segmenter=args.segmenter)
    lines, rows = [], []
    for photo in (Photo(**entry) for entry in json.loads(OUTLINES.read_text())):
        line, row = judge(pipeline, photo, Image.open(pictures / photo.file).convert("RGB"))
        lines.append(line)
        if photo.licence:
            rows.append(row)
        ways = ("from_true_box", "by_name", "by_question")
        print(photo.thing, *(f"{way} {line[way]['mask_iou']:.2f}" for way in ways), sep="  ")
    args.results.write_text(json.dumps(lines, indent=2) + "\n")
    if args.sheet:
        sheet(rows).save(args.sheet, quality=80)
    return 0


if __name__ == "__main__":
    sys.exit(main())
