"""Composed scenes as data in the local format, to evaluate on or to look at.

    python -m train.mini.export --split test --scenes 500 --out data/mini-test
    python -m segzero evaluate --data data/mini-test --report out/

The same seed gives the same scenes. Kinds of questions take turns, as far as a scene offers them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from segzero.data import DatasetError, Item, LeftOut, write_dataset
from train.mini.language import KINDS, Question, load_knowledge, sample_question
from train.mini.world import SPLITS, Composer, Scene, World

SIDE_PX = 384
_OFFERED = 12  # questions to choose the wanted kind from


def items(split: str, scenes: int, questions: int, seed: int) -> Iterator[Item | LeftOut]:
    """The questions of `scenes` scenes, `questions` about each. split: as the composer has them."""
    composer = Composer(World.load(concepts=set(load_knowledge().taught)), split)
    wording = "train" if split in ("train", "val") else "test"
    for index in range(scenes):
        rng = np.random.default_rng([seed, index])
        ratio = float(np.exp(rng.uniform(-0.45, 0.45)))  # seldom square
        scene = composer.scene(rng, (int(SIDE_PX * ratio**0.5), int(SIDE_PX / ratio**0.5)))
        asked = choose(
            sample_question(scene, rng, wording, max(_OFFERED, questions)),
            KINDS[index % len(KINDS)],
            questions,
        )
        if not asked:
            yield LeftOut(f"scene {index}", "a scene that offers no question")
        for number, question in enumerate(asked):
            yield item(f"{split}-{index:05d}", number, scene, question)


def choose(offered: list[Question], kind: str, count: int) -> list[Question]:
    """`count` of the questions, one of a kind before all others."""
    return sorted(offered, key=lambda question: question.kind != kind)[:count]


def item(name: str, number: int, scene: Scene, question: Question) -> Item:
    return Item(
        id=f"{name}-{number}",
        question=question.text,
        picture=Image.fromarray(scene.image),
        picture_key=name,
        masks=[scene.objects[index].mask for index in question.targets],
        kind=question.kind,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--split", choices=SPLITS, default="test")
    add("--scenes", type=int, default=500)
    add("--questions", type=int, default=1, help="about each scene (default: 1)")
    add("--seed", type=int, default=20_260_000)
    add("--out", type=Path, required=True, metavar="FOLDER")
    args = parser.parse_args()
    try:
        chosen = items(args.split, args.scenes, args.questions, args.seed)
        print(write_dataset(args.out, chosen, args.scenes * args.questions).report())
    except DatasetError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
