"""The page's three examples: scenes of held-out sprites, each with a question that takes a thought.

python -m train.mini.examples            # compose them into assets/examples
python -m train.mini.examples --check    # ask the bundled mini; exit code 1 if it answers one of them wrong
python -m train.mini.examples --suggest 40                       # which seeds it would answer right

examples.json also holds the true mask of each answer (COCO run lengths), so a check needs no composer.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from segzero.export import encode_mask
from segzero.masks import decode_rle
from segzero.options import add_model_options, load_pipeline
from segzero.pipeline import Pipeline
from train.mini.scenes import Composer, World

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "examples"
RIGHT_IOU = 0.7  # of the union of all masks; what an eye calls right


@dataclass(frozen=True)
class Recipe:
    """One example. concepts: what may stand in the scene; answer: those of them that the question means."""

    name: str
    question: str
    answer: tuple[str, ...]
    wh: tuple[int, int]
    seed: int
    concepts: tuple[str, ...]
    count: int = 5


RECIPES = (
    Recipe(
        name="rain",
        question="It rains, what could keep me dry?",
        answer=("umbrella",),
        wh=(512, 384),
        seed=19,
        concepts=("umbrella", "guitar", "clock", "dog", "basketball", "teapot"),
    ),
    Recipe(
        name="campfire",
        question="What plays chords at the campfire?",
        answer=("guitar",),
        wh=(384, 512),
        seed=22,
        concepts=("guitar", "cat", "basketball", "backpack", "umbrella"),
        count=4,
    ),
    Recipe(
        name="traffic",
        question="What drives in the traffic?",
        answer=("car",),
        wh=(576, 360),
        seed=28,
        concepts=("car", "owl", "trumpet", "backpack", "balloon", "cactus"),
    ),
)


def compose(recipe: Recipe, world: World) -> tuple[Image.Image, np.ndarray]:
    """The scene's picture, and the true mask of the answer, (H, W) bool. Raises ValueError without one."""
    composer = Composer(world, "test", recipe.concepts)
    scene = composer.scene(np.random.default_rng(recipe.seed), recipe.wh, recipe.count)
    meant = [thing.mask for thing in scene.objects if thing.concept in recipe.answer]
    if not meant:
        raise ValueError(f"{recipe.name}: nothing in the scene answers the question; choose another seed")
    return Image.fromarray(scene.image), np.any(meant, axis=0)


def write(folder: Path = FOLDER) -> None:
    """Compose every example into the folder, with examples.json."""
    # Without the GPL's pictures, so that the examples, and pictures of the page, are free of its terms.
    world, records = World.load(gpl=False), []
    folder.mkdir(parents=True, exist_ok=True)
    for recipe in RECIPES:
        image, mask = compose(recipe, world)
        picture = f"{recipe.name}.webp"
        image.save(folder / picture, quality=92, method=6)
        records.append({"picture": picture, "question": recipe.question, "mask": encode_mask(mask)})
    (folder / "examples.json").write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


def judge(pipeline: Pipeline, picture: Image.Image | Path, question: str, true: np.ndarray) -> float:
    """Ask, print what came of it; returns the IoU of all masks together with the true one, (H, W) bool."""
    result = pipeline.run(picture, question)
    iou = float((result.mask & true).sum() / (result.mask | true).sum())
    print(f"  {question} IoU {iou:.2f}, {result.status}: {result.thinking}")
    return iou


def check(pipeline: Pipeline, folder: Path = FOLDER) -> bool:
    """Whether the pipeline answers every example right."""
    records = json.loads((folder / "examples.json").read_text(encoding="utf-8"))
    found = [
        judge(pipeline, folder / record["picture"], record["question"], decode_rle(record["mask"]))
        for record in records
    ]
    return min(found) >= RIGHT_IOU


def suggest(pipeline: Pipeline, seeds: int) -> None:
    """Print, for every recipe, those of the first seeds whose scene the pipeline answers right."""
    world = World.load(gpl=False)
    for recipe in RECIPES:
        right = []
        for seed in range(seeds):
            try:
                picture, true = compose(replace(recipe, seed=seed), world)
            except ValueError:
                continue
            if judge(pipeline, picture, recipe.question, true) >= RIGHT_IOU:
                right.append(seed)
        print(f"{recipe.name}: right with seeds {right}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="ask the bundled mini instead of composing")
    parser.add_argument("--suggest", type=int, metavar="N", help="find good scenes among the first N seeds")
    add_model_options(parser)
    args = parser.parse_args()
    if args.suggest:
        suggest(load_pipeline(args), args.suggest)
    elif args.check:
        return 0 if check(load_pipeline(args)) else 1
    else:
        write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
