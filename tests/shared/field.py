"""Files of other people's data that went wrong once: tests/data/field, unpacked, with pictures drawn to it.

folder = unpack(tmp_path); prepare("coco", folder / "coco/dup_ann.json", "--pictures", folder / "coco/pics")

Of the pictures only sizes and EXIF matter. Where the project's shared folder lies beside the checkout, it has
the same files and more of them, and its README says what is right.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

from PIL import Image

COPY = Path(__file__).parent.parent / "data" / "field"
SHARED = COPY.parents[2].parent / "shared" / "data" / "field"
_TURNED = {"coco/pics/rot.jpg", "coco/pics/sq.jpg", "lisa/exif6/one.jpg"}
_SQUARE = "coco/pics/sq.jpg"
_PICTURES = (
    *(f"coco/pics/{name}.jpg" for name in ("a", "b", "rot", "sq", "cam1/001", "cam2/001")),
    *(f"refer/train2014/COCO_train2014_{number:012d}.jpg" for number in (9, 25)),
    *(f"table/images/{name}.png" for name in ("7", "bücher & tee 100%")),
)


def unpack(folder: Path) -> Path:
    """Write the files into a folder, and their pictures; returns it."""
    pictures = list(_PICTURES)
    for bundle in sorted(COPY.glob("*.json")):
        for name, content in json.loads(bundle.read_text(encoding="utf-8")).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(
                content.encode() if isinstance(content, str) else base64.b64decode(content["base64"])
            )
            if name.startswith("lisa/"):
                ending = {"lisa/JPG": ".JPG", "lisa/png": ".png"}.get(str(Path(name).parent), ".jpg")
                pictures.append(str(Path(name).with_suffix(ending)))
    for number, name in enumerate(pictures):
        exif = Image.Exif()
        if name in _TURNED:
            exif[0x0112] = 6  # a quarter to the right
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        color = (number, 9, 9)  # each its own: pictures of the same content are one
        Image.new("RGB", (64, 64 if name == _SQUARE else 48), color).save(folder / name, exif=exif)
    return folder
