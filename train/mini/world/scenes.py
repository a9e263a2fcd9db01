"""Compose pictures with known objects: the miniature's training, validation and test scenes.

from train.mini.scenes import Composer, World
composer = Composer(World.load(), "train")
scene = composer.scene(np.random.default_rng(0), (224, 168))

python -m train.mini.world.scenes /tmp/scenes.png          # a contact sheet to look at, and the speed
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from train.mini.world import paint
from train.mini.world.backdrops import draw_backdrop
from train.mini.world.pieces import RECOLOURED, Sprite, World, color_name

SPLITS = ("train", "val", "test", "style")
COUNT_WEIGHTS = (0.07, 0.12, 0.2, 0.22, 0.17, 0.11, 0.07, 0.04)  # probability of 1, 2, ... 8 objects
VISIBLE = 0.6  # least share of an object's solid pixels that overlap and the picture's edge leave
DUPLICATES, SAME_KIND = 0.25, 0.3  # probability of several of one concept, of several of one category
TRIES = 10  # places tried before an object is made smaller
LEAST, MOST = (
    0.27,
    0.66,
)  # an object's longest side over the picture's shorter one; 0.17 is one cell of the mini


@dataclass(frozen=True)
class SceneObject:
    """mask: (H, W) bool, its visible pixels; box_xyxy: inclusive; point_xy: deepest inside the mask."""

    concept: str
    mask: np.ndarray
    box_xyxy: tuple[int, int, int, int]
    point_xy: tuple[int, int]
    color: str | None
    sprite: str


@dataclass(frozen=True)
class Scene:
    """image: (H, W, 3) uint8 RGB; objects from the back to the front, their masks disjoint."""

    image: np.ndarray
    objects: tuple[SceneObject, ...]


@dataclass(frozen=True)
class _Look:
    """What one scene's objects share."""

    ground: float | None  # height at which the ground begins, or None: objects float anywhere
    lean: float
    squash: float
    cast: int  # depth of the cast shadow, 0..255
    contact: int
    light: np.ndarray  # (3,) gain of R, G, B
    crowded: bool  # objects may hide parts of each other
    restyled: bool  # objects lie any way, in other materials and lights than their own


class Composer:
    """Makes scenes of one split; every choice comes from the rng it is handed."""

    def __init__(
        self, world: World, split: str, concepts: Sequence[str] | None = None, *, restyled: float = 0.0
    ) -> None:
        """split: train; val (training sprites, clean pictures); test, style (held-out sprites, backgrounds).

        concepts: the only ones to show; default all. restyled: the share of scenes whose objects lie any
        way, in other materials and lights, and so have no colour name. Raises ValueError for an unknown
        split or no sprite.
        """
        if split not in SPLITS:
            raise ValueError(f"split {split!r} is none of {', '.join(SPLITS)}")
        own = "train" if split == "val" else split
        wanted = world.sprites if concepts is None else concepts
        chosen = {c: tuple(s for s in world.sprites.get(c, ()) if s.split == own) for c in sorted(wanted)}
        self.sprites = {concept: sprites for concept, sprites in chosen.items() if sprites}
        if not self.sprites:
            raise ValueError(f"no {own} sprite of the concepts asked for")
        self.concepts = tuple(self.sprites)
        self._rich, self._restyled = split == "train", restyled
        seen = "train" if own == "train" else "test"
        self._odds = {concept: _odds(sprites) for concept, sprites in self.sprites.items()}
        self._photos = [b.rgb for b in world.backdrops if b.split == seen and b.kind == "photo"]
        self._tiles = [b.rgb for b in world.backdrops if b.split == seen and b.kind == "tile"]
        kinds: dict[str, list[str]] = {}
        for concept, sprites in self.sprites.items():
            kinds.setdefault(sprites[0].category.split(":")[0], []).append(concept)
        self._kinds = [members for _, members in sorted(kinds.items()) if len(members) > 1]

    def scene(self, rng: np.random.Generator, wh: tuple[int, int], count: int | None = None) -> Scene:
        """One picture of wh = (width, height) pixels with `count` objects (1..8; default: drawn).

        The same rng state gives the same scene. An object that finds no room is left out (one in 4,000).
        """
        if count is None:
            count = 1 + int(np.searchsorted(np.cumsum(COUNT_WEIGHTS), rng.random() * sum(COUNT_WEIGHTS)))
        canvas, horizon = draw_backdrop(rng, wh, self._photos, self._tiles)
        look = self._look(rng, horizon)
        easel = paint.Easel(canvas)
        shown: list[tuple[Sprite, str | None]] = []
        for sprite, size, low in self._sizes(rng, self._cast(rng, count), wh, look):
            color = self._place(rng, easel, look, sprite, size, low)
            if easel.count > len(shown):
                shown.append((sprite, color))
        image = paint.degrade(rng, easel.rgb) if self._rich else easel.rgb
        objects = (_object(easel.owner == n, sprite, color) for n, (sprite, color) in enumerate(shown, 1))
        return Scene(image, tuple(objects))

    def _look(self, rng: np.random.Generator, horizon: float) -> _Look:
        kind, ground = rng.random(2)
        strong = int(rng.integers(60, 150))
        return _Look(
            ground=horizon if ground < 0.6 else None,
            lean=float(rng.uniform(-0.9, 0.9)),
            squash=float(rng.uniform(0.12, 0.4)),
            cast=strong if kind < 0.4 and ground < 0.6 else 0,
            contact=strong + 60 if kind < 0.7 and ground < 0.75 else 0,
            light=rng.uniform(0.9, 1.08, 3).astype(np.float32) if self._rich else np.ones(3, np.float32),
            crowded=bool(rng.random() < 0.25),
            restyled=self._restyled > 0 and bool(rng.random() < self._restyled),
        )

    def _cast(self, rng: np.random.Generator, count: int) -> list[Sprite]:
        """Which sprites appear: often several of one concept or of one category, the rest all different."""
        mix = rng.random()
        first: list[str] = []
        if count > 1 and mix < DUPLICATES:
            first = [self.concepts[rng.integers(len(self.concepts))]] * min(count, int(rng.integers(2, 4)))
        elif count > 1 and mix < DUPLICATES + SAME_KIND and self._kinds:
            kind = self._kinds[rng.integers(len(self._kinds))]
            order = rng.permutation(len(kind))[: min(count, int(rng.integers(2, 5)))]
            first = [kind[i] for i in order]
        others = [self.concepts[i] for i in rng.permutation(len(self.concepts))[: count + len(first)]]
        names = (first + [name for name in others if name not in first])[:count]
        turns = {name: self._turns(rng, name) for name in dict.fromkeys(names)}
        seen: dict[str, int] = {}
        cast = []
        for name in names:
            turn, seen[name] = seen.get(name, 0), seen.get(name, 0) + 1
            cast.append(self.sprites[name][turns[name][turn % len(turns[name])]])
        return [cast[i] for i in rng.permutation(len(cast))]

    def _turns(self, rng: np.random.Generator, concept: str) -> np.ndarray:
        """In which order a concept's sprites appear, should there be several of it."""
        count = len(self.sprites[concept])
        return rng.choice(count, count, False, self._odds[concept]) if self._rich else rng.permutation(count)

    def _sizes(
        self, rng: np.random.Generator, sprites: list[Sprite], wh: tuple[int, int], look: _Look
    ) -> list[tuple[Sprite, float, float | None]]:
        """Each sprite, its longest side in pixels and, on a ground, the height of its base; back to front."""
        short = min(wh)
        most = min(MOST, 1.4 / np.sqrt(len(sprites)) * np.sqrt(max(wh) / short))
        rows = []
        for sprite, (share, depth) in zip(sprites, rng.random((len(sprites), 2)), strict=True):
            size = short * (LEAST + (most - LEAST) * share)
            low = None
            if look.ground is not None:  # nearer is lower and larger
                low = look.ground + (wh[1] - look.ground) * (0.1 + 0.88 * depth)
                size = short * (LEAST + (most - LEAST) * np.clip(0.65 * depth + 0.5 * share - 0.08, 0, 1))
            least = short * np.sqrt(0.0016 / max(sprite.fill, 0.02))  # thin things need length to be seen
            rows.append((sprite, float(min(max(size, least), 0.85 * short)), low))
        fills_frame = rng.random() < (0.25 if len(rows) == 1 else 0.06)
        if fills_frame:
            rows[0] = (rows[0][0], float(short * rng.uniform(0.8, 1.15)), None)
        return rows[:fills_frame] + sorted(rows[fills_frame:], key=lambda row: row[2] or 0)

    def _place(
        self,
        rng: np.random.Generator,
        easel: paint.Easel,
        look: _Look,
        sprite: Sprite,
        size: float,
        low: float | None,
    ) -> str | None:
        """Paint the sprite where it hides little; its colour name as painted."""
        turn = float(rng.normal(0, 8) if rng.random() < 0.75 else rng.uniform(-28, 28)) if self._rich else 0.0
        flip, squeeze = rng.random() < 0.5, float(np.exp(rng.uniform(-0.3, 0.3))) if self._rich else 1.0
        hue = int(rng.integers(15, 165)) if sprite.concept in RECOLOURED and rng.random() < 0.4 else 0
        shear = float(rng.normal(0, 0.12)) if self._rich else 0.0
        if look.restyled:
            lies, wider = rng.random(), float(np.exp(rng.uniform(-0.25, 0.25)))
            turn, squeeze = turn if lies > 0.4 else float(rng.uniform(-80, 80)), squeeze * wider
        contrast, brightness = (rng.uniform(0.85, 1.15), rng.normal(0, 10)) if self._rich else (1.0, 0.0)
        height, width = easel.rgb.shape[:2]
        for round_number in range(4):
            patch = paint.warp(sprite.levels, size, turn, flip, squeeze, shear)
            solid = paint.solid_part(patch)
            tall, wide = solid.shape
            overlap = 0.03 if round_number < 2 and not look.crowded else 1.0
            overhang = 0.2 if self._rich and rng.random() < 0.12 else 0.0
            for across, down in rng.random((TRIES, 2)).tolist():
                x = round(-overhang * wide + across * (width - wide + 2 * overhang * wide))
                y = round(-overhang * tall + down * (height - tall + 2 * overhang * tall))
                if low is not None:
                    y = round(low + 0.3 * (down - 0.5) * (height - look.ground)) - tall
                    y = min(max(0, y), height - tall)
                if easel.fits(solid, x, y, VISIBLE, overlap):
                    patch = paint.shift_hue(patch, hue) if hue else patch
                    patch = paint.restyle(rng, patch) if look.restyled else patch
                    gains = look.light * easel.glow((tall, wide), x, y)
                    if low is not None:
                        _shadows(easel.rgb, patch[..., 3], x, y, look)
                    easel.paint(paint.tint(patch, contrast, brightness, gains), solid, x, y)
                    if look.restyled:
                        return None
                    return color_name(paint.shift_hue(sprite.levels[-1], hue)) if hue else sprite.color
            size *= 0.8
        return None


def _odds(sprites: Sequence[Sprite]) -> np.ndarray:
    """(N,) how often each is drawn: a style with four times the sprites comes only twice as often."""
    share = Counter(sprite.style for sprite in sprites)
    odds = np.array([share[sprite.style] ** -0.5 for sprite in sprites])
    return odds / odds.sum()


def _shadows(rgb: np.ndarray, alpha: np.ndarray, x: int, y: int, look: _Look) -> None:
    if look.cast:
        paint.cast_shadow(rgb, alpha, x, y, look.lean, look.squash, look.cast)
    if look.contact:
        paint.contact_shadow(rgb, alpha, x, y, look.contact)


def _object(mask: np.ndarray, sprite: Sprite, color: str | None) -> SceneObject:
    """mask: (H, W) bool, not empty."""
    pixels = mask.view(np.uint8)
    x, y, w, h = cv2.boundingRect(pixels)
    rim = cv2.copyMakeBorder(pixels[y : y + h, x : x + w], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(rim, cv2.DIST_L2, 5)
    _, _, _, (deep_x, deep_y) = cv2.minMaxLoc(depth)
    box = (x, y, x + w - 1, y + h - 1)
    return SceneObject(sprite.concept, mask, box, (x + deep_x - 1, y + deep_y - 1), color, sprite.id)


def contact_sheet(composer: Composer, path: Path, seed: int = 0) -> None:
    """24 scenes of different shapes with boxes and names, as one PNG to look at."""
    rng = np.random.default_rng(seed)
    sheet = np.full((4 * 300, 6 * 300, 3), 255, np.uint8)
    for number in range(24):
        wh = ((280, 210), (210, 280), (280, 280), (280, 160))[number % 4]
        scene = composer.scene(rng, wh)
        image = scene.image.copy()
        for item in scene.objects:
            x1, y1, x2, y2 = item.box_xyxy
            cv2.rectangle(image, (x1, y1), (x2, y2), (255, 0, 0))
            text = f"{item.concept} {item.color or ''}"
            cv2.putText(image, text, (x1, max(8, y1 - 2)), cv2.FONT_HERSHEY_SIMPLEX, 0.33, (255, 0, 255))
        top, left = number // 6 * 300, number % 6 * 300
        sheet[top : top + wh[1], left : left + wh[0]] = image
    cv2.imwrite(str(path), sheet[..., ::-1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a contact sheet of scenes and measure the composer.")
    parser.add_argument("sheet", type=Path, help="PNG to write")
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--concepts", type=Path, help="text file with one concept a line; default all")
    options = parser.parse_args()
    concepts = options.concepts.read_text().split("\n") if options.concepts else None
    composer = Composer(World.load(), options.split, [c for c in concepts if c] if concepts else None)
    contact_sheet(composer, options.sheet)
    for wh in ((168, 168), (448, 336)):
        rng, start = np.random.default_rng(1), time.process_time()
        total = sum(len(composer.scene(rng, wh).objects) for _ in range(200))
        speed = 200 / (time.process_time() - start)
        print(f"{wh}: {speed:.0f} scenes a CPU-second, {total / 200:.2f} objects each")


if __name__ == "__main__":
    main()
