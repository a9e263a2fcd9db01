"""The shipped world in memory: every sprite decoded once, with smaller copies, a colour name and a split.

from train.mini.world import World
world = World.load()                      # both packs; gpl=False leaves the GPL pack out
world.sprites["dog"]                      # tuple[Sprite, ...]
"""

from __future__ import annotations

import io
import json
import zipfile
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

ASSETS = Path(__file__).resolve().parents[3] / "assets"
PAD_PX = 2  # transparent rim, so that a warped edge fades out instead of being cut
COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "white", "grey", "black")
UNSURE = len(COLORS)
# concepts that come in any colour: the composer may turn their hue
_ANY_COLOUR = (
    "airplane, backpack, balloon, bathtub, bed, bicycle, book, boot, bucket, bus, butterfly, candle, cap, "
    "car, chair, coffee cup, comb, crayon, door, dress, drum, envelope, fish, flashlight, gift, gloves, "
    "guitar, handbag, helicopter, helmet, high heels, house, key, kite, lipstick, mailbox, mobile phone, "
    "motorcycle, necktie, paintbrush, parrot, pencil, rocket, sailboat, scarf, scissors, screwdriver, "
    "skateboard, sock, sofa, suitcase, t-shirt, taxi, teapot, tent, toothbrush, train, trash can, trousers, "
    "truck, umbrella, van, watch"
)
RECOLOURED = frozenset(_ANY_COLOUR.split(", "))


@dataclass(frozen=True)
class Sprite:
    """One cut-out. levels: (h, w, 4) uint8 straight-alpha RGBA, full, half, quarter size, with a thin rim."""

    id: str
    concept: str
    category: str
    style: str  # photo | render | clay | flat | icon
    split: str  # train | test | style
    levels: tuple[np.ndarray, ...]
    fill: float  # solid pixels / longest side squared
    color: str | None

    @property
    def rgba(self) -> np.ndarray:
        """(h, w, 4) uint8, the stored size without the rim."""
        return self.levels[0][PAD_PX:-PAD_PX, PAD_PX:-PAD_PX]


@dataclass(frozen=True)
class Backdrop:
    """A picture to put objects on. rgb: (h, w, 3) uint8; kind: photo, or tile (seamless)."""

    id: str
    kind: str
    split: str  # train | test
    rgb: np.ndarray


@dataclass(frozen=True)
class World:
    """sprites: concept -> its sprites, in the order of their ids."""

    sprites: dict[str, tuple[Sprite, ...]]
    backdrops: tuple[Backdrop, ...]

    @classmethod
    def load(
        cls, folder: Path = ASSETS, *, gpl: bool = True, concepts: Collection[str] | None = None
    ) -> World:
        """Read folder/world and, where it is there and wanted, folder/world-gpl.

        concepts: read only these (faster, smaller). Raises FileNotFoundError without a pack, ValueError for a
        concept that no pack has.
        """
        packs = [folder / "world"]
        if gpl and (folder / "world-gpl" / "index.json").exists():
            packs.append(folder / "world-gpl")
        sprites: dict[str, list[Sprite]] = defaultdict(list)
        backdrops: list[Backdrop] = []
        for pack in packs:
            index = json.loads((pack / "index.json").read_text(encoding="utf-8"))
            entries = {f"{entry['id']}.webp": entry for entry in index["sprites"]}
            for archive in sorted(pack.glob("sprites*.zip")):
                with zipfile.ZipFile(archive) as bundle:
                    for entry in (entries[name] for name in bundle.namelist()):
                        if concepts is None or entry["concept"] in concepts:
                            picture = _decode(bundle, entry["id"], "RGBA")
                            sprites[entry["concept"]].append(_sprite(entry, picture))
            with zipfile.ZipFile(pack / "backgrounds.zip") as bundle:
                for entry in index["backgrounds"]:
                    rgb = _decode(bundle, entry["id"], "RGB")
                    backdrops.append(Backdrop(entry["id"], entry["kind"], entry["split"], rgb))
        missing = sorted(set(concepts or ()) - set(sprites))
        if missing:
            raise ValueError(f"no sprite for {', '.join(missing)} in {folder}")
        ordered = {name: tuple(sorted(own, key=lambda s: s.id)) for name, own in sorted(sprites.items())}
        return cls(ordered, tuple(backdrops))


def _decode(bundle: zipfile.ZipFile, name: str, mode: str) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(bundle.read(f"{name}.webp"))).convert(mode))


def _sprite(entry: dict, rgba: np.ndarray) -> Sprite:
    levels = []
    for shrink in (1, 2, 4):
        size = (max(1, round(rgba.shape[1] / shrink)), max(1, round(rgba.shape[0] / shrink)))
        level = cv2.resize(rgba, size, interpolation=cv2.INTER_AREA) if shrink > 1 else rgba
        level = cv2.copyMakeBorder(level, *[PAD_PX] * 4, cv2.BORDER_REPLICATE)
        rim = np.ones(level.shape[:2], bool)
        rim[PAD_PX:-PAD_PX, PAD_PX:-PAD_PX] = False
        level[rim, 3] = 0
        levels.append(level)
    fill = float((rgba[..., 3] > 127).sum()) / max(rgba.shape[:2]) ** 2
    fields = {key: entry[key] for key in ("id", "concept", "category", "style", "split")}
    return Sprite(**fields, levels=tuple(levels), fill=fill, color=color_name(levels[-1]))


def _color_table() -> np.ndarray:
    """(32768,) uint8: index into COLORS of each 5-bit RGB colour, or UNSURE where people would not agree."""
    grid = np.indices((32, 32, 32), dtype=np.uint8).reshape(3, -1).T * 8 + 4
    hsv = cv2.cvtColor(grid.reshape(1, -1, 3), cv2.COLOR_RGB2HSV)[0].astype(np.float32)
    hue, sat, val = hsv[:, 0] * 2, hsv[:, 1] / 255, hsv[:, 2] / 255
    name = {color: number for number, color in enumerate(COLORS)}
    table = np.full(len(grid), UNSURE)
    degrees = {"orange": (18, 37), "yellow": (44, 66), "green": (74, 165), "blue": (178, 250)}
    for color, (low, high) in {**degrees, "purple": (258, 298), "pink": (306, 342)}.items():
        table[(hue >= low) & (hue < high)] = name[color]
    red = (hue < 13) | (hue >= 348)
    table[red] = name["red"]
    table[red & (sat < 0.6)] = UNSURE
    table[((hue < 7) | (hue >= 330)) & (sat < 0.6) & (val > 0.8)] = name["pink"]
    earthy = (hue >= 8) & (hue < 48)
    table[earthy & ((val < 0.75) | (sat < 0.45))] = UNSURE  # skin, sand, pale wood
    table[earthy & (val < 0.65) & (sat > 0.25)] = name["brown"]
    table[sat < np.where((hue > 178) & (hue < 250), 0.3, 0.22)] = UNSURE
    table[(sat < 0.14) & (val < 0.8)] = name["grey"]
    table[(sat < 0.14) & (val > 0.84)] = name["white"]
    table[(val < 0.2) | ((sat < 0.3) & (val < 0.27))] = name["black"]
    return table.astype(np.uint8)


COLOR_TABLE = _color_table()


def color_name(rgba: np.ndarray) -> str | None:
    """The colour that clearly dominates the solid pixels of (h, w, 4) uint8 RGBA, or None."""
    solid = rgba[rgba[..., 3] > 160].astype(np.uint16) >> 3
    if not len(solid):
        return None
    names = COLOR_TABLE[(solid[:, 0] << 10) | (solid[:, 1] << 5) | solid[:, 2]]
    counts = np.bincount(names, minlength=UNSURE + 1)[:UNSURE]
    second, first = np.sort(counts)[-2:]
    clear = first >= 0.5 * len(solid) and first >= 2.2 * second
    return COLORS[int(counts.argmax())] if clear else None
