"""What the arms learn from and are asked: composed scenes, a question about each, as folders in the local
format.

    folder = written(Path("runs/claims/data"), TRAINING, count=320, seed=1)

Kinds of questions are split as the paper's data are: it trains on RefCOCOg, which points things out by what
they are, look like and stand next to, and tests on questions that want reasoning. Kinds take turns exactly:
a scene that does not offer the kind whose turn it is, is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segzero.data import DATA_FILE, Item, write_dataset
from train.mini.export import SIDE_PX, item
from train.mini.language import KINDS, load_knowledge, sample_question
from train.mini.world import Composer, World

HELD_OUT = ("affordance", "ordinal", "several")
TRAINED = tuple(kind for kind in KINDS if kind not in HELD_OUT)
SEED = 31_000_000  # far from those of the mini's own training and test scenes


@dataclass(frozen=True)
class Questions:
    """A source of questions. split: of the composer's scenes; kinds: taking turns; about: for people."""

    name: str
    split: str
    kinds: tuple[str, ...]
    about: str


TRAINING = Questions("training", "train", TRAINED, "what the arms are trained on")
SETS = (
    Questions("in_domain", "val", TRAINED, "in domain"),
    Questions("style", "style", TRAINED, "another drawing style"),
    Questions("kinds", "val", HELD_OUT, "other kinds of questions"),
)


def items(source: Questions, count: int, seed: int) -> Iterator[Item]:
    """`count` questions, each about a scene of its own, worded as in training: only one thing differs.

    No two sources share a scene: val has training's drawings, and would lay them out alike.
    """
    composer = Composer(World.load(concepts=set(load_knowledge().taught)), source.split)
    made = index = 0
    while made < count:
        rng = np.random.default_rng([SEED, seed, index, *source.name.encode()])
        ratio = float(np.exp(rng.uniform(-0.45, 0.45)))  # seldom square
        scene = composer.scene(rng, (int(SIDE_PX * ratio**0.5), int(SIDE_PX / ratio**0.5)))
        kind = source.kinds[made % len(source.kinds)]
        for question in sample_question(scene, rng, "train", 1, weights={kind: 1.0}):
            yield item(f"{source.name}-{seed}-{index:05d}", 0, scene, question)
            made += 1
        index += 1


def written(root: Path, source: Questions, count: int, seed: int) -> Path:
    """The folder with these questions, written unless it is there."""
    folder = root / f"{source.name}-{count}-{seed}"
    if not (folder / DATA_FILE).exists():
        write_dataset(folder, items(source, count, seed), count)
    return folder
