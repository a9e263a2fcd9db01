"""The page's examples: scenes of held-out sprites, each with a question that takes a thought.

python -m train.mini.examples            # compose them into assets/examples
python -m train.mini.examples --check    # ask the bundled mini; exit code 1 if it answers one of them wrong
python -m train.mini.examples --suggest 40     # save scenes it would answer right in runs/examples

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

from segzero.cli import add_model_options, load_pipeline
from segzero.pictures import decode_rle, encode_mask
from segzero.pipeline import Pipeline
from train.mini.evaluate import iou
from train.mini.language import load_knowledge, sample_question
from train.mini.world import Composer, World

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "examples"
RIGHT_IOU = 0.7  # of the union of all masks; what an eye calls right


@dataclass(frozen=True)
class Recipe:
    """One example. kind: which of the questions that the scene offers is asked, in wordings kept for testing.

    Where `question` is given it is asked instead, and each object of a concept in `answer` is meant by it.
    concepts: what may stand in the scene; none: all that the mini is taught.
    """

    name: str
    kind: str
    seed: int
    wh: tuple[int, int] = (512, 384)
    count: int = 4
    question: str = ""
    answer: tuple[str, ...] = ()
    concepts: tuple[str, ...] = ()


RECIPES = (
    Recipe(
        name="rain",
        kind="affordance",
        question="It rains, what could keep me dry?",
        answer=("umbrella",),
        seed=16,
        concepts=("umbrella", "guitar", "clock", "dog", "basketball", "teapot"),
        count=5,
    ),
    Recipe(
        name="campfire",
        kind="affordance",
        question="What plays chords at the campfire?",
        answer=("guitar",),
        wh=(384, 512),
        seed=3,
        concepts=("guitar", "cat", "basketball", "backpack", "umbrella"),
    ),
    Recipe(
        name="traffic",
        kind="affordance",
        question="What drives in the traffic?",
        answer=("car",),
        wh=(576, 360),
        seed=19,
        concepts=("car", "cupcake", "piano", "cat", "rocket", "laptop"),
        count=5,
    ),
    Recipe("name", "name", 7),
    Recipe("category", "category", 16),
    Recipe("attribute", "attribute", 25),
    Recipe("spatial", "spatial", 35, (576, 360)),
    Recipe("ordinal", "ordinal", 45, (576, 360), 5),
    Recipe("comparative", "comparative", 23),
    Recipe("several", "several", 28),
    Recipe("none", "none", 0),
    Recipe("need", "affordance", 9, (384, 480)),
)


def compose(recipe: Recipe, world: World) -> tuple[Image.Image, str, np.ndarray]:
    """The scene's picture, the question, and the true mask of its answer, (H, W) bool.

    Raises ValueError where the scene does not offer such a question.
    """
    rng = np.random.default_rng(recipe.seed)
    scene = Composer(world, "test", recipe.concepts or None).scene(rng, recipe.wh, recipe.count)
    question, meant = recipe.question, []
    if question:
        meant = [n for n, thing in enumerate(scene.objects) if thing.concept in recipe.answer]
        offered = bool(meant)
    else:
        asked = sample_question(scene, rng, "test", 1, {recipe.kind: 1.0})
        offered = bool(asked)
        if offered:
            question, meant = asked[0].text, asked[0].targets
    if not offered:
        raise ValueError(f"{recipe.name}: the scene offers no such question; choose another seed")
    mask = np.zeros(scene.image.shape[:2], bool)
    for index in meant:
        mask |= scene.objects[index].mask
    return Image.fromarray(scene.image), question, mask


def read_world() -> World:
    """Sprites of what the mini is taught, without the GPL's, whose terms would bind pictures of the page."""
    return World.load(gpl=False, concepts=set(load_knowledge().taught))


def write(folder: Path = FOLDER) -> None:
    """Compose every example into the folder, with examples.json."""
    world, records = read_world(), []
    folder.mkdir(parents=True, exist_ok=True)
    for recipe in RECIPES:
        image, question, mask = compose(recipe, world)
        picture = f"{recipe.name}.webp"
        image.save(folder / picture, quality=92, method=6)
        records.append({"picture": picture, "question": question, "mask": encode_mask(mask)})
    (folder / "examples.json").write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


def judge(pipeline: Pipeline, picture: Image.Image | Path, question: str, true: np.ndarray) -> float:
    """Ask, print what came of it; returns the IoU of all masks together with the true one, (H, W) bool."""
    result = pipeline.run(picture, question)
    score = iou(result.mask, true)
    print(f"  {question} IoU {score:.2f}, {result.status}: {result.thinking}")
    return score


def check(pipeline: Pipeline, folder: Path = FOLDER) -> bool:
    """Whether the pipeline answers every example right."""
    records = json.loads((folder / "examples.json").read_text(encoding="utf-8"))
    found = [
        judge(pipeline, folder / record["picture"], record["question"], decode_rle(record["mask"]))
        for record in records
    ]
    return min(found) >= RIGHT_IOU


def suggest(pipeline: Pipeline, seeds: int, folder: Path) -> None:
    """Save, for every recipe, those of the first scenes that are answered right, to choose from by eye."""
    world = read_world()
    folder.mkdir(parents=True, exist_ok=True)
    for recipe in RECIPES:
        for seed in range(seeds):
            try:
                picture, question, true = compose(replace(recipe, seed=seed), world)
            except ValueError:
                continue
            if judge(pipeline, picture, question, true) >= RIGHT_IOU:
                picture.save(folder / f"{recipe.name}-{seed}.png")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="ask the bundled mini instead of composing")
    parser.add_argument("--suggest", type=int, metavar="N", help="find good scenes among the first N seeds")
    add_model_options(parser)
    args = parser.parse_args()
    if args.suggest:
        suggest(load_pipeline(args), args.suggest, Path("runs/examples"))
    elif args.check:
        return 0 if check(load_pipeline(args)) else 1
    else:
        write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
