"""Build the mini world's shipped packs from public packages; needed only to change them.

    mkdir packages && cd packages
    apt-get download tuxpaint-stamps-default=2022.06.04-1 sweethome3d-furniture=1.8-1 \
        sweethome3d=7.0.2+dfsg-3 mate-backgrounds=1.26.0-1 plasma-workspace-wallpapers=4:5.27.5-2 \
        lomiri-wallpapers-16.04=20.04.0-2 openclipart-png=1:0.18+dfsg-19
    npm pack @lobehub/fluent-emoji-3d@1.1.0 @pmndrs/assets@1.7.0 @iconify-json/{noto@1.2.9,twemoji@1.2.5} \
        @iconify-json/{fluent-emoji-flat@1.2.6,emojione@1.2.3,fxemoji@1.2.2,streamline-emojis@1.2.4} \
        @iconify-json/{noto-v1@1.2.5,flat-color-icons@1.2.3,flat-ui@1.2.3} \
        @iconify-json/streamline-{ultimate,plump,stickies}-color@1.2.2 @iconify/json@2.2.535
    pip install resvg-py OpenEXR trimesh vtk Pillow==12.3.0      # only this build needs them
    python -m train.mini.world.sprites build --packages packages

It reads `catalogue.json` beside this file (concept, category, style, package, path, licence, creator, title;
a path that ends in `#45,15` is a view of that icon's 3D model, see `renders.py`; one that ends in `#c0392b`
is a silhouette filled with that colour) and writes, into assets/world (CC0, CC-BY, MIT, Apache-2.0, ISC,
public domain) and assets/world-gpl (GPL-2): sprites*.zip and backgrounds.zip (WebP), and index.json, which
says what each file is and whose.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import subprocess
import tarfile
import zipfile
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from train.mini.world.backgrounds import Background, read_backgrounds
from train.mini.world.renders import Models

ROOT = Path(__file__).resolve().parents[3]
CATALOGUE = Path(__file__).with_name("catalogue.json")
LONGEST_PX = 160  # longest side of a stored sprite
RENDER_PX = 320  # width at which an SVG is drawn before it is trimmed and scaled
GPL_PACKS = ("tuxpaint-stamps-default", "sweethome3d", "mate-backgrounds", "plasma-workspace-wallpapers")
HELD_OUT_STYLE = "@iconify-json/twemoji"  # a drawing style no training ever sees
ICONS, CLIP_ART = "@iconify/json", "openclipart-png"
OWN_ARCHIVE = {ICONS: "sprites-icons.zip", CLIP_ART: "sprites-clipart.zip"}  # none may grow beyond 10 MB
TWINS = {  # one design, drawn twice: where the first is a test sprite, the second is left out
    "@lobehub/fluent-emoji-3d": "@iconify-json/fluent-emoji-flat",
    "@iconify-json/noto": "@iconify-json/noto-v1",
}
TRAIN_ONLY = (
    *TWINS.values(),
    "@iconify-json/emojione",
    "@iconify-json/fxemoji",
    "@iconify-json/streamline-emojis",
    "@iconify-json/streamline-ultimate-color",
    "@iconify-json/streamline-plump-color",
    "@iconify-json/streamline-stickies-color",
    "@iconify-json/flat-color-icons",
    "@iconify-json/flat-ui",
    ICONS,
    CLIP_ART,
)
SPLIT_SEED = 20260


@dataclass(frozen=True)
class Entry:
    """One line of an index: where a sprite came from, whose it is and which split may use it."""

    id: str
    concept: str
    category: str
    style: str  # photo | render | clay | flat | icon (a silhouette in one colour)
    split: str  # train | test | style
    pack: str
    path: str
    licence: str
    creator: str
    title: str


def unpack(packages: Path, into: Path) -> dict[str, Path]:
    """Unpack every .deb and .tgz of `packages` once; package name -> its folder."""
    folders = {}
    for archive in sorted([*packages.glob("*.deb"), *packages.glob("*.tgz")]):
        name = archive.name.split("_")[0] if archive.suffix == ".deb" else archive.stem.rsplit("-", 1)[0]
        folders[name] = into / name
        if folders[name].exists():
            continue
        folders[name].mkdir(parents=True)
        if archive.suffix == ".deb":
            subprocess.run(["dpkg-deb", "-x", archive, folders[name]], check=True)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(folders[name], filter="data")
    return folders


def package_key(pack: str) -> str:
    """The name `unpack` gives a package: npm writes @scope/name as scope-name."""
    return pack.lstrip("@").replace("/", "-")


class Source:
    """Reads one catalogue path as a straight-alpha RGBA picture."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self._folders = folders
        self._icons: dict[Path, dict] = {}
        self._models: dict[str, Models] = {}

    def rgba(self, pack: str, path: str) -> np.ndarray:
        """(H, W, 4) uint8. Raises KeyError or OSError when it is not there, ValueError without alpha."""
        folder = self._folders[package_key(pack)]
        if ".json#" in path:
            return self._svg(self._icon_svg(folder / "package", *path.split("#")))
        if is_view(path):
            return self._view(folder, path)
        if "!/" in path:
            archive, member = path.split("!/")
            with zipfile.ZipFile(folder / archive) as bundle:
                picture = Image.open(io.BytesIO(bundle.read(member)))
        elif path.endswith(".svg"):
            return self._svg((folder / path).read_text())
        else:
            base = folder / "package" if pack.startswith("@") else folder
            picture = Image.open(base / path)
        if picture.mode not in ("RGBA", "LA") and "transparency" not in picture.info:
            raise ValueError("opaque")
        return np.array(picture.convert("RGBA"))

    def _icon_svg(self, package: Path, file: str, name: str, colour: str = "000000") -> str:
        if package / file not in self._icons:
            self._icons[package / file] = json.loads((package / file).read_text())
        icons = self._icons[package / file]
        icon = icons["icons"][name]
        size = [icon.get(side, icons.get(side, 16)) for side in ("width", "height")]
        body = icon["body"].replace("currentColor", f"#{colour}")
        return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}">{body}</svg>'

    def _view(self, folder: Path, path: str) -> np.ndarray:
        file, angles = path.split("#")
        archive, icon = file.split("!/")
        if archive not in self._models:
            self._models[archive] = Models(folder / archive)
        yaw, pitch = map(float, angles.split(","))
        return self._models[archive].view(icon, yaw, pitch)

    @staticmethod
    def _svg(text: str) -> np.ndarray:
        import resvg_py

        png = resvg_py.svg_to_bytes(svg_string=text, width=RENDER_PX)
        return np.array(Image.open(io.BytesIO(png)).convert("RGBA"))


def is_view(path: str) -> bool:
    """Whether a catalogue path names a view of a 3D model: furniture.sh3f!/icon.png#yaw,pitch."""
    return ".png#" in path


def trim(rgba: np.ndarray) -> np.ndarray:
    """Cut to the visible part and shrink to LONGEST_PX; ValueError when little is left."""
    solid = rgba[..., 3] > 12
    ys, xs = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    if not len(ys):
        raise ValueError("empty")
    cut = rgba[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    if max(cut.shape[:2]) < 28:
        raise ValueError("tiny")
    if (cut[..., 3] > 127).sum() < 0.5 * (cut[..., 3] > 12).sum():
        raise ValueError("mostly transparent")
    shrink = min(1.0, LONGEST_PX / max(cut.shape[:2]))
    size = tuple(max(1, round(side * shrink)) for side in cut.shape[1::-1])
    small = Image.fromarray(cut).convert("RGBa").resize(size, Image.Resampling.LANCZOS)  # "a": premultiplied
    return np.array(small.convert("RGBA"))


def bleed(rgba: np.ndarray) -> np.ndarray:
    """Fill the colour under transparent pixels from their neighbours, so that no edge gets a dark fringe."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    alpha[alpha < 0.5] = 0
    near, weight = rgba[..., :3] * alpha, alpha
    filled, known = near.copy(), weight[..., 0] > 0
    colour = np.where(known[..., None], rgba[..., :3], 0).astype(np.float32)
    for radius in (3, 7, 15, 31, 63, 127):
        size = (2 * radius + 1,) * 2
        total = cv2.blur(weight, size)[..., None]
        filled = cv2.blur(near, size) / np.maximum(total, 1e-6)
        fresh = ~known & (total[..., 0] > 1e-4)
        colour[fresh] = filled[fresh]
        known |= fresh
    return np.dstack([np.clip(colour, 0, 255).astype(np.uint8), rgba[..., 3]])


def webp(picture: np.ndarray, quality: int = 85) -> bytes:
    """Encode; `exact` keeps the colours that `bleed` put under transparent pixels."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=quality, alpha_quality=100, exact=True, method=2)
    return buffer.getvalue()


def read_sprites(source: Source) -> tuple[dict[Entry, bytes], Counter]:
    """Every usable line of the catalogue with its encoded picture, and why the others were left out."""
    kept: dict[Entry, bytes] = {}
    left_out: Counter = Counter()
    numbers: Counter = Counter()
    for concept, category, style, pack, path, licence, creator, title in json.loads(CATALOGUE.read_text()):
        try:
            picture = trim(source.rgba(pack, path))
        except (KeyError, OSError, ValueError) as problem:
            left_out[f"{pack}: {problem}"] += 1
            continue
        short = package_key(pack).split("-")[1] if pack.startswith("@") else pack.split("-")[0]
        name = f"{concept.replace(' ', '_')}.{short}"
        numbers[name] += 1
        split = "style" if pack == HELD_OUT_STYLE else "train"
        identity = f"{name}{numbers[name]}"
        entry = Entry(identity, concept, category, style, split, pack, path, licence, creator, title)
        kept[entry] = webp(bleed(picture))
    return hold_out(kept), left_out


def hold_out(sprites: dict[Entry, bytes]) -> dict[Entry, bytes]:
    """Mark one sprite of each concept that has two or more (without the held-out style) as test.

    Neither the packs of TRAIN_ONLY nor views of 3D models are ever chosen. A test sprite's own shape is never
    trained on: its twin in another pack and the views of its model are left out.
    """
    chosen, twins = set(), set()
    for concept in {entry.concept for entry in sprites}:
        trained = [e for e in sprites if e.concept == concept and e.split == "train"]
        own = {e.id: e for e in trained if e.pack not in TRAIN_ONLY and not is_view(e.path)}
        if len(own) >= 2:
            held_out = random.Random(f"{SPLIT_SEED} {concept}").choice(sorted(own))
            chosen.add(held_out)
            twins |= {e.id for e in trained if is_twin(e, own[held_out])}
    kept = {e: data for e, data in sprites.items() if e.id not in twins}
    return {replace(e, split="test") if e.id in chosen else e: data for e, data in kept.items()}


def is_twin(entry: Entry, test: Entry) -> bool:
    """Whether two sprites of one concept are the same design in two packs, or a model and its icon."""
    return entry.pack == TWINS.get(test.pack) or entry.path.startswith(f"{test.path}#")


def write_pack(folder: Path, sprites: dict[Entry, bytes], backgrounds: dict[Background, bytes]) -> None:
    """Archives of sprites and backgrounds (uncompressed, dateless: same input, same bytes) and index.json."""
    folder.mkdir(parents=True, exist_ok=True)
    archives: dict[str, dict] = {"backgrounds.zip": backgrounds}
    for entry, data in sprites.items():
        archives.setdefault(OWN_ARCHIVE.get(entry.pack, "sprites.zip"), {})[entry] = data
    for name, files in archives.items():
        if not files:
            continue
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_STORED) as bundle:
            for entry, data in sorted(files.items(), key=lambda item: item[0].id):
                bundle.writestr(zipfile.ZipInfo(f"{entry.id}.webp"), data)
        print(f"{folder.name}/{name}: {len(files)} files, {(folder / name).stat().st_size / 2**20:.1f} MiB")
    blocks = []
    for name, entries in (("sprites", sprites), ("backgrounds", backgrounds)):
        lines = [json.dumps(asdict(e), ensure_ascii=False) for e in sorted(entries, key=lambda e: e.id)]
        blocks.append(f'"{name}": [\n' + ",\n".join(lines) + "\n]")
    (folder / "index.json").write_text("{\n" + ",\n".join(blocks) + "\n}\n")


def build(packages: Path) -> None:
    """Unpack, read, split by licence family, write both packs and say what was left out."""
    folders = unpack(packages, packages / "unpacked")
    sprites, left_out = read_sprites(Source(folders))
    backgrounds = {entry: webp(picture, 80) for entry, picture in read_backgrounds(folders)}
    for folder, gpl in ((ROOT / "assets/world", False), (ROOT / "assets/world-gpl", True)):
        write_pack(
            folder,
            {e: data for e, data in sprites.items() if (e.pack in GPL_PACKS) is gpl},
            {e: data for e, data in backgrounds.items() if (e.pack in GPL_PACKS) is gpl},
        )
    print("splits:", dict(Counter(e.split for e in sprites)), "left out:", dict(left_out) or "none")


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the mini world's sprite and background packs.")
    parser.add_argument("command", choices=["build"])
    parser.add_argument("--packages", type=Path, required=True, help="folder with the .deb and .tgz files")
    build(parser.parse_args().packages)


if __name__ == "__main__":
    main()
