"""What lies behind the objects of the mini world: the photographs, panoramas and tiles that the packs ship.

Read by `python -m train.mini.world.sprites build --packages DIR`. The choice below was made by eye: no
picture that shows one of the world's concepts clearly, and nothing under a ShareAlike licence (it would not
mix with the GPL sprites).
"""

from __future__ import annotations

import base64
import re
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

LONGEST_PX = 480
MATE = {  # file -> creator, from the package's copyright file
    "Aqua": "Charles Barbin",
    "Blinds": "Lennart Poettering, Andrea Cimitan",
    "Dune": "Marco Cogoni, Hylke Bons",
    "GreenMeadow": "Timothy Schellhase, Lapo Calamandrei",
    "RainDrops": "blackcombwhistler07",
    "Storm": "Sergey Nazarov",
    "Wood": "Jean-François Fortin Tam",
}
PLASMA = (
    *("Altai", "BytheWater", "ColdRipple", "DarkestHour", "FallenLeaf", "Grey", "OneStandsOut"),
    *("PastelHills", "Path", "Volna", "summer_1am"),
)
LOMIRI = {  # file -> licence, from the package's copyright file; the creator stands in the file's name
    "aitzgorri_by_Aitzol_Berasategi": "CC-BY-4.0",
    "life_by_Aitzol_Berasategi": "CC-BY-4.0",
    "picosdeeuropa_by_Aitzol_Berasategi": "CC-BY-4.0",
    "sunset_by_Aitzol_Berasategi": "CC-BY-4.0",
    "umang_by_Abhishek_Mudgal": "CC-BY-4.0",
    "seeding_by_Clements_Engelhardt": "CC0-1.0",
}
TILES = "com/eteks/sweethome3d/io/resources/textures/"
HELD_OUT = {  # split "test": no training scene shows them
    *("Dune", "Wood", "ColdRipple", "FallenLeaf", "summer_1am", "picosdeeuropa_by_Aitzol_Berasategi"),
    *("umang_by_Abhishek_Mudgal", "city", "forest", "lobby", "park"),
    *("oldWoodenFloor", "stone2Wall", "blueTiles", "cloudy", "marbleWall"),
}


@dataclass(frozen=True)
class Background:
    """One line of an index: a picture to put objects on."""

    id: str
    kind: str  # photo | tile
    split: str  # train | test
    pack: str
    path: str
    licence: str
    creator: str


def read_backgrounds(folders: dict[str, Path]) -> Iterator[tuple[Background, np.ndarray]]:
    """Every chosen background with its (H, W, 3) uint8 RGB pixels; `folders` as from `sprites.unpack`."""
    mate, lomiri = folders["mate-backgrounds"], folders["lomiri-wallpapers-16.04"]
    for name, creator in MATE.items():
        path = f"usr/share/backgrounds/mate/nature/{name}.jpg"
        entry = _entry(name, "photo", "mate-backgrounds", path, "GPL-2+", creator)
        yield entry, _small(Image.open(mate / path))
    plasma = folders["plasma-workspace-wallpapers"]
    for name in PLASMA:
        path = next((plasma / f"usr/share/wallpapers/{name}/contents").glob("screenshot.*"))
        source = str(path.relative_to(plasma))
        creator = "KDE Visual Design Group"
        entry = _entry(name, "photo", "plasma-workspace-wallpapers", source, "GPL-2+", creator)
        yield entry, _small(Image.open(path))
    for name, licence in LOMIRI.items():
        path, creator = f"usr/share/backgrounds/{name}.jpg", name.split("_by_")[1].replace("_", " ")
        entry = _entry(name, "photo", "lomiri-wallpapers-16.04", path, licence, creator)
        yield entry, _small(Image.open(lomiri / path))
    yield from _tiles(folders["sweethome3d"])
    yield from _panoramas(folders["pmndrs-assets"])


def _entry(name: str, kind: str, pack: str, path: str, licence: str, creator: str = "") -> Background:
    split = "test" if name.split("-")[0] in HELD_OUT else "train"
    return Background(f"{package_short(pack)}-{name}", kind, split, pack, path, licence, creator)


def package_short(pack: str) -> str:
    """'@pmndrs/assets' -> 'pmndrs', 'mate-backgrounds' -> 'mate'."""
    return re.split(r"[-/]", pack.lstrip("@"))[0]


def _small(picture: Image.Image) -> np.ndarray:
    picture = picture.convert("RGB")
    picture.thumbnail((LONGEST_PX, LONGEST_PX), Image.Resampling.LANCZOS)
    return np.array(picture)


def _tiles(folder: Path) -> Iterator[tuple[Background, np.ndarray]]:
    """Sweet Home 3D's seamless floors, walls and skies, at most 192 px."""
    jar = "usr/share/sweethome3d/sweethome3d.jar"
    with zipfile.ZipFile(folder / jar) as bundle:
        for member in sorted(n for n in bundle.namelist() if n.startswith(TILES) and n.endswith(".jpg")):
            picture = Image.open(bundle.open(member)).convert("RGB")
            picture.thumbnail((192, 192), Image.Resampling.LANCZOS)
            entry = _entry(Path(member).stem, "tile", "sweethome3d", f"{jar}!/{member}", "GPL-2+", "eTeks")
            yield entry, np.array(picture)


def _panoramas(folder: Path) -> Iterator[tuple[Background, np.ndarray]]:
    """Two opposite views of each CC0 panorama (equirectangular EXR in a JavaScript string), tone mapped."""
    for path in sorted((folder / "package/hdri").glob("*.exr.js")):
        name = path.name.split(".")[0]
        data = base64.b64decode(re.search(r"base64,([^'\"]+)", path.read_text()).group(1))
        panorama = _tone_map(_read_exr(data))
        for number, yaw in enumerate((0.6, 0.6 + np.pi)):
            source = f"package/hdri/{path.name}"
            entry = _entry(f"{name}-{number}", "photo", "@pmndrs/assets", source, "CC0-1.0", "Poly Haven")
            yield entry, _view(panorama, yaw)


def _read_exr(data: bytes) -> np.ndarray:
    import OpenEXR

    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(data)
        file.flush()
        with OpenEXR.File(file.name) as exr:
            return exr.channels()["RGB"].pixels.astype(np.float32)  # copied before the file closes


def _tone_map(light: np.ndarray) -> np.ndarray:
    """(H, W, 3) linear light -> uint8 sRGB-like; the EXRs hold negative garbage where it is very bright."""
    light = cv2.medianBlur(np.clip(np.abs(np.nan_to_num(light, nan=20.0)), 0, 20), 3)
    middle = np.exp(np.log(light.mean(-1) + 1e-3).mean())
    light = light * (0.3 / middle)
    return (255 * np.clip(light * (1 + light / 16) / (1 + light), 0, 1) ** (1 / 2.2)).astype(np.uint8)


def _view(panorama: np.ndarray, yaw: float, wh: tuple[int, int] = (320, 240)) -> np.ndarray:
    """A pinhole view, 110 degrees wide, level with the horizon."""
    height, width = panorama.shape[:2]
    x, y = np.meshgrid(np.linspace(-1, 1, wh[0]), np.linspace(-0.75, 0.75, wh[1]))
    x, y = x * np.tan(np.radians(55)), y * np.tan(np.radians(55))
    across = (np.arctan2(x, 1) + yaw) / (2 * np.pi) % 1 * width
    down = (np.arctan2(y, np.hypot(x, 1)) / np.pi + 0.5) * height
    grid = across.astype(np.float32), down.astype(np.float32)
    return cv2.remap(panorama, *grid, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
