"""Which models answer, in which frame and dialect: frozen values, and what a model folder says of itself.

from segzero.contract import PRESETS, preset_for_folder
preset_for_folder("runs/my-checkpoint", base=PRESETS["mini"])
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from segzero.contract.answer import DIALECTS, MULTI, SINGLE, Dialect

MAX_FRAME_PX = 4096
_MINI = Path(__file__).resolve().parents[2] / "assets" / "mini"
_SETTINGS = "segzero.json"


class PresetError(ValueError):
    """A preset, or the segzero.json of a model folder, that cannot be used; one line that says why."""


@dataclass(frozen=True)
class Preset:
    """A reasoner and a segmenter that belong together.

    reasoner, segmenter: a model id of the Hub, a folder, or one of the segmenter's own names.
    frame_px: the side of the square the reasoner sees; its answers are in these pixels.
    about: one sentence for people who choose.
    evaluation_trim: the characters that an evaluation takes from both ends of a question; elsewhere only full
        stops go.
    Raises PresetError for a frame or a token limit outside any use.
    """

    name: str
    reasoner: str
    segmenter: str
    frame_px: int
    dialect: Dialect
    max_new_tokens: int = 1024
    about: str = ""
    evaluation_trim: str = "."

    def __post_init__(self) -> None:
        for field, most in (("frame_px", MAX_FRAME_PX), ("max_new_tokens", 32768)):
            value = getattr(self, field)
            if type(value) is not int or not 1 <= value <= most:
                raise PresetError(f"{field} is a whole number from 1 to {most}, not {value!r}")


MINI = Preset(
    name="mini",
    reasoner=str(_MINI / "reasoner"),
    segmenter=str(_MINI / "segmenter"),
    frame_px=280,
    dialect=MULTI,
    max_new_tokens=400,
    about="Knows 68 everyday things in composed scenes; for photographs, --preset visionreasoner-7b.",
)

SEG_ZERO_7B = Preset(
    name="seg-zero-7b",
    reasoner="Ricky06662/Seg-Zero-7B",
    segmenter="sam2.1-large",
    frame_px=840,
    dialect=SINGLE,
    about="The paper's 7B model: one object per question; some 16 GB in bf16, so it wants a GPU.",
)

VISIONREASONER_7B = Preset(
    name="visionreasoner-7b",
    reasoner="Ricky06662/VisionReasoner-7B",
    segmenter="sam2.1-large",
    frame_px=840,
    dialect=MULTI,
    evaluation_trim='."?!',  # as its published evaluation asked, though not its training
    about="The 7B successor: several objects or none per question; some 16 GB in bf16, so it wants a GPU.",
)

PRESETS = {preset.name: preset for preset in (MINI, SEG_ZERO_7B, VISIONREASONER_7B)}


def preset_for_folder(folder: str | Path, base: Preset) -> Preset:
    """`base` with the reasoner of a folder, and with what the folder's segzero.json says, if it has one.

    segzero.json: {"frame_px": 280, "dialect": "multi", "max_new_tokens": 400}, every key optional. The
    segmenter and the name stay the base's.
    Raises PresetError when the file is there and cannot be used.
    """
    folder = Path(folder)
    path = folder / _SETTINGS
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return replace(base, reasoner=str(folder))
    except (OSError, ValueError) as error:
        raise PresetError(f"{path} cannot be read as JSON ({error}); repair it or remove it") from error
    known = {"frame_px", "dialect", "max_new_tokens"}
    if not isinstance(settings, dict) or not settings.keys() <= known:
        raise PresetError(f"{path} is a JSON object with the keys {', '.join(sorted(known))} and no others")
    if "dialect" in settings:
        if settings["dialect"] not in list(DIALECTS):
            raise PresetError(f"{path}: dialect is one of {', '.join(DIALECTS)}, not {settings['dialect']!r}")
        settings["dialect"] = DIALECTS[settings["dialect"]]
    try:
        return replace(base, reasoner=str(folder), **settings)
    except PresetError as error:
        raise PresetError(f"{path}: {error}") from error
