"""An endless, seeded stream of batches for the mini reasoner, composed while it trains.

encoder = Encoder(processor, frame_px=280)
for batch in batches(encoder, seed=0, pictures=8, questions=4): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from train.mini.language import DEFAULT_WEIGHTS, load_knowledge, sample_question
from train.mini.learning.reasoner_data import Batch, Encoder, collate, words_only
from train.mini.world import Composer, Scene, World

TAUGHT = DEFAULT_WEIGHTS | {"ordinal": 14.0, "comparative": 14.0, "none": 20.0}
"""How often each kind of question is learnt: the hard ones more often than they are asked."""


class _Stream(IterableDataset):
    """An endless, seeded stream of batches; `first` skips what an interrupted run has already seen."""

    def __init__(self, encoder, split, seed, pictures, questions, crowd, first, blind):
        self.encoder, self.split, self.seed, self.blind = encoder, split, seed, blind
        self.pictures, self.questions, self.crowd, self.first = pictures, questions, crowd, first

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        restyled = 0.0 if self.split != "train" else 0.4 if self.questions else 0.8
        composer = Composer(World.load(concepts=set(load_knowledge().taught)), self.split, restyled=restyled)
        index = self.first
        while True:
            rng = np.random.default_rng([self.seed, index])
            scenes = [
                composer.scene(rng, (96, 80) if self.blind else scene_size(rng), _crowd(rng, self.crowd))
                for _ in range(self.pictures)
            ]
            asked = [
                sample_question(scene, rng, self.split, self.questions, TAUGHT) if self.questions else []
                for scene in scenes
            ]
            if self.split == "train":
                scenes = [fade(scene, rng, to_grey=not self.questions) for scene in scenes]
            yield (words_only if self.blind else collate)(self.encoder, scenes, asked)
            index += 1


def scene_size(rng: np.random.Generator) -> tuple[int, int]:
    """A picture's width and height: about the frame's area, seldom square."""
    ratio = float(np.exp(rng.uniform(-0.5, 0.5)))
    return int(290 * ratio**0.5), int(290 / ratio**0.5)


def fade(scene: Scene, rng: np.random.Generator, *, to_grey: bool) -> Scene:
    """One scene in four with more or less colour, so that shape counts. Hues stay: questions name them."""
    if rng.random() > 0.25:
        return scene
    strength = rng.uniform(0.0 if to_grey else 0.4, 1.5)
    grey = scene.image @ np.array([0.299, 0.587, 0.114], np.float32)
    faded = grey[..., None] + strength * (scene.image - grey[..., None])
    return replace(scene, image=faded.clip(0, 255).astype(np.uint8))


def _crowd(rng: np.random.Generator, crowd: tuple[int, int]) -> int:
    return int(rng.integers(crowd[0], crowd[1] + 1))


def batches(
    encoder: Encoder,
    *,
    split: str = "train",
    seed: int,
    pictures: int,
    questions: int,
    crowd: tuple[int, int] = (2, 6),
    first: int = 0,
    workers: int = 1,
    blind: bool = False,
) -> Iterator[Batch]:
    """Endless batches, composed in a background process (inline with no workers); `blind`: no pictures."""
    stream = _Stream(encoder, split, seed, pictures, questions, crowd, first, blind)
    return iter(
        DataLoader(
            stream, batch_size=None, num_workers=min(workers, 1), prefetch_factor=4 if workers else None
        )
    )
