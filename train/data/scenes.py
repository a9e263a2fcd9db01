"""Rows from composed scenes: the mini world's own pictures and questions.

rows = list(scene_rows(composed(64, seed=0, split="train"), PRESETS["mini"], Path("runs/data")))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from segzero.contract import Preset, Target, mask_to_points
from segzero.data import LeftOut
from segzero.pictures import encode_mask, written_whole
from train.data.rows import Row, Unusable, frame_solution
from train.mini.language import DEFAULT_WEIGHTS, Question, load_knowledge, sample_question
from train.mini.world import Composer, Scene, SceneObject, World

SIDE_PX = 320  # of a square with a scene's area; more than the frame of the mini
ASKED = DEFAULT_WEIGHTS | {"none": 11.0}
"""How often each kind is asked: as in the mini's own test, but for more questions that nothing answers. With
fewer GRPO learns to point at something always, with many more to refuse what it never saw (mini/LOG.md)."""


def composed(count: int, seed: int, split: str) -> Iterator[tuple[str, Scene, Question]]:
    """`count` scenes, each with a name and one question; the same seed and split give the same ones.

    split: train, val, test or style, as the composer has them. Raises ValueError for another.
    """
    composer = Composer(World.load(concepts=set(load_knowledge().taught)), split)
    made = index = 0
    while made < count:
        rng = np.random.default_rng([seed, index])
        ratio = float(np.exp(rng.uniform(-0.5, 0.5)))  # seldom square
        scene = composer.scene(rng, (int(SIDE_PX * ratio**0.5), int(SIDE_PX / ratio**0.5)))
        for question in sample_question(scene, rng, split, 1, ASKED):
            made += 1
            yield f"{split}-{seed}-{index}", scene, question
        index += 1


def scene_rows(
    scenes: Iterable[tuple[str, Scene, Question]], preset: Preset, folder: Path
) -> Iterator[Row | LeftOut]:
    """A row for each scene. Its picture becomes a PNG of `folder`, named as the scene."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, scene, question in scenes:
        try:
            yield _row(name, scene, question, preset, folder)
        except Unusable as error:
            yield error.left_out(name)


def _row(name: str, scene: Scene, question: Question, preset: Preset, folder: Path) -> Row:
    height, width = scene.image.shape[:2]
    things = [scene.objects[index] for index in question.targets]
    targets = [_target(thing, preset.dialect.points_per_target) for thing in things]
    solution = frame_solution(targets, (width, height), preset)
    path = folder / f"{name}.png"
    with written_whole(path) as part:
        Image.fromarray(scene.image).save(part, format="PNG", compress_level=1)
    masks = tuple(encode_mask(thing.mask) for thing in things)
    return Row(name, str(path), question.text, solution, (width, height), masks)


def _target(thing: SceneObject, points: int) -> Target:
    """One point is the scene's own, as in the mini's supervised training."""
    return Target(thing.box_xyxy, (thing.point_xy,) if points == 1 else mask_to_points(thing.mask, points))
