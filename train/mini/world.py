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

ASSETS = Path(__file__).resolve().parents[2] / "assets"
PAD_PX = 2  # transparent rim, so that a warped edge fades out instead of being cut
COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "white", "grey", "black")
# concepts that come in any colour: the composer may turn their hue
RECOLOURED = frozenset(
    "t-shirt,dress,car,truck,bus,balloon,umbrella,chair,sofa,backpack,handbag,suitcase,book,gift,cap,helmet,boot,"
    "sock,gloves,trousers,bicycle,motorcycle,guitar,candle,tent,coffee cup,teapot,high heels,skateboard,sailboat,"
    "house,pencil,comb,bed,bathtub,door,mobile phone,watch,toothbrush,bucket,scarf,hat,kite,mailbox,train,rocket,"
    "airplane,helicopter,butterfly,parrot,fish,trash can,thread,yarn,envelope,lipstick,ribbon,scooter,van,taxi,jeans,"
    "coat,kimono,shoe,sneaker,sandal,necktie,drum,crayon,paintbrush,flashlight,scissors,screwdriver,key".split(",")
)


@dataclass(frozen=True)
class Sprite:
    """One cut-out. levels: (h, w, 4) uint8 straight-alpha RGBA, full, half and quarter size, each with a thin rim."""

    id: str
    concept: str
    category: str
    style: str  # photo | render | clay | flat
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
    def load(cls, folder: Path = ASSETS, *, gpl: bool = True, concepts: Collection[str] | None = None) -> World:
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
            with zipfile.ZipFile(pack / "sprites.zip") as bundle:
                for entry in index["sprites"]:
                    if concepts is None or entry["concept"] in concepts:
                        sprites[entry["concept"]].append(_sprite(entry, _decode(bundle, entry["id"], "RGBA")))
            with zipfile.ZipFile(pack / "backgrounds.zip") as bundle:
                for entry in index["backgrounds"]:
                    rgb = _decode(bundle, entry["id"], "RGB")
                    backdrops.append(Backdrop(entry["id"], entry["kind"], entry["split"], rgb))
        missing = sorted(set(concepts or ()) - set(sprites))
        if missing:
            raise ValueError(f"no sprite for {', '.join(missing)} in {', '.join(str(pack) for pack in packs)}")
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
    """(32768,) uint8: index into COLORS of each 5-bit RGB colour."""
    grid = np.indices((32, 32, 32), dtype=np.uint8).reshape(3, -1).T * 8 + 4
    hsv = cv2.cvtColor(grid.reshape(1, -1, 3), cv2.COLOR_RGB2HSV)[0].astype(np.float32)
    hue, sat, val = hsv[:, 0] * 2, hsv[:, 1] / 255, hsv[:, 2] / 255
    name = {color: number for number, color in enumerate(COLORS)}
    limits = [15, 41, 68, 165, 255, 300, 345]  # degrees at which the next hue name begins; from 345 red again
    wheel = np.array([name[c] for c in ("red", "orange", "yellow", "green", "blue", "purple", "pink", "red")])
    table = wheel[np.searchsorted(limits, hue, side="right")]
    reddish = (hue < 15) | (hue >= 330)
    table[reddish & (sat < 0.55) & (val > 0.75)] = name["pink"]
    earthy = ((hue >= 12) & (hue < 50) & (val < 0.68)) | ((hue < 20) & (sat < 0.7) & (val < 0.55))
    table[earthy] = name["brown"]
    table[sat < 0.15] = name["grey"]
    table[(sat < 0.15) & (val > 0.82)] = name["white"]
    table[(val < 0.22) | ((sat < 0.25) & (val < 0.28))] = name["black"]
    return table.astype(np.uint8)


COLOR_TABLE = _color_table()


def color_name(rgba: np.ndarray) -> str | None:
    """The colour that clearly dominates the solid pixels of (h, w, 4) uint8 RGBA, or None."""
    solid = rgba[rgba[..., 3] > 160].astype(np.uint16) >> 3
    if not len(solid):
        return None
    counts = np.bincount(COLOR_TABLE[(solid[:, 0] << 10) | (solid[:, 1] << 5) | solid[:, 2]], minlength=len(COLORS))
    second, first = np.sort(counts)[-2:]
    clear = first >= 0.55 * len(solid) and first >= 2.2 * second
    return COLORS[int(counts.argmax())] if clear else None
