"""What a question can refer to in a composed scene: names, groups and where things stand.

    view = View(scene)
    view.members({"dog"})        # the dogs, from left to right

Frames: boxes are picture pixels, centres are shares of the picture's width and height, and the places that a
thought mentions are pixels of the model's frame, as everything is that a model writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segzero.contract import MINI
from train.mini.language.knowledge import Concept, load_knowledge

if TYPE_CHECKING:
    from train.mini.world import Scene


@dataclass(frozen=True)
class Draft:
    """A question before its wording is drawn. pools: one pool is drawn, then one template of it.

    listed: the objects that the thought goes through one by one, each with its place.
    """

    pools: tuple[tuple[str, ...], ...]
    thought: str
    targets: tuple[int, ...] = ()
    slots: Mapping[str, str] | None = None
    listed: tuple[int, ...] = ()


@dataclass(frozen=True)
class Group:
    """Objects that share a noun. concept: set when the noun is a concept's name; ids from left to right."""

    noun: str
    ids: tuple[int, ...]
    concept: Concept | None = None

    @property
    def be(self) -> str:
        return self.concept.verb if self.concept else "is"


class View:
    """What a question can refer to in one scene. Centres and gaps are shares of the picture's sides."""

    def __init__(self, scene: Scene):
        height, width = scene.image.shape[:2]
        known = load_knowledge()
        self.objects = scene.objects
        self.concepts = [known.concepts[thing.concept] for thing in scene.objects]
        self.boxes = np.array([thing.box_xyxy for thing in scene.objects], float).reshape(-1, 4)
        self.pixels = (self.boxes[:, :2] + self.boxes[:, 2:]) / 2  # (N, 2) centres, for distances
        self.center = self.pixels / [width, height]  # (N, 2), for margins
        self.in_order = tuple(np.argsort(self.center[:, 0], kind="stable").tolist())
        self.present = frozenset(thing.concept for thing in scene.objects)
        self.by_concept = {name: self.members({name}) for name in sorted(self.present)}

    def members(self, names: Iterable[str]) -> tuple[int, ...]:
        return tuple(i for i in self.in_order if self.objects[i].concept in names)

    def clear(self, concept: Concept) -> bool:
        """Nothing else in the picture goes by this concept's name."""
        return not concept.near & self.present

    def chosen(self, ids: Iterable[int]) -> list[Concept]:
        return [self.concepts[i] for i in ids]

    def places(self, ids: Iterable[int], axis: int = 0) -> list[int]:
        """Where objects are along x (axis 0) or y (1), in pixels of the frame, as a thought says it."""
        return [min(round(self.center[i, axis] * MINI.frame.frame_px), MINI.frame.frame_px - 1) for i in ids]

    def groups(self, rng: np.random.Generator, least: int = 2) -> list[Group]:
        """Everything that a noun can gather: a concept seen `least` times, a category, all things."""
        known = load_knowledge()
        found = [
            Group(name, ids, known.concepts[name])
            for name, ids in self.by_concept.items()
            if len(ids) >= least and self.clear(known.concepts[name])
        ]
        for category in known.categories:
            if not category.maybe & self.present and len(self.present & category.members) > 1:
                found.append(Group(category.name, self.members(category.members)))
        if len(self.by_concept) > 1:
            found.append(Group(("thing", "object")[int(rng.integers(2))], self.in_order))
        return found

    def sizes(self) -> np.ndarray:
        """(N,) visible pixels."""
        return np.array([np.count_nonzero(thing.mask) for thing in self.objects])
