"""Which models answer, in which frame and dialect: frozen values, and what a model folder says of itself.

from segzero.contract import PRESETS, preset_for_folder
preset_for_folder("runs/my-checkpoint", base=PRESETS["mini"])
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path

from segzero.contract.answer import Answer, parse_answer
from segzero.contract.dialect import DIALECTS, MULTI, SINGLE, STAR, Dialect
from segzero.contract.frame import Frame, FrameError

MAX_NEW_TOKENS = 32768
_MINI = Path(__file__).resolve().parents[2] / "assets" / "mini"
_SETTINGS = "segzero.json"
_FRAME = [field.name for field in fields(Frame)]


class PresetError(ValueError):
    """A preset, or the segzero.json of a model folder, that cannot be used; one line that says why."""


@dataclass(frozen=True)
class Preset:
    """A reasoner and a segmenter that belong together.

    reasoner, segmenter: a model id of the Hub, a folder, or one of the segmenter's own names.
    frame: what the reasoner is shown, and what its numbers mean.
    weights_gb: about what the reasoner's weights take in bf16.
    about: one sentence for people who choose.
    evaluation_trim: what an evaluation takes from both ends of a question; None: what the dialect takes.
    Raises PresetError for a token limit outside any use.
    """

    name: str
    reasoner: str
    segmenter: str
    frame: Frame
    dialect: Dialect
    max_new_tokens: int = 1024
    about: str = ""
    weights_gb: float = 0.0
    evaluation_trim: str | None = None

    def __post_init__(self) -> None:
        if type(self.max_new_tokens) is not int or not 1 <= self.max_new_tokens <= MAX_NEW_TOKENS:
            limits = f"a whole number from 1 to {MAX_NEW_TOKENS}"
            raise PresetError(f"max_new_tokens is {limits}, not {self.max_new_tokens!r}")

    def parse(self, text: str, image_wh: tuple[int, int]) -> Answer:
        """An answer of its reasoner, read: the targets in pixels of a picture of size `image_wh`."""
        return parse_answer(text, self.dialect, self.frame, image_wh)


MINI = Preset(
    name="mini",
    weights_gb=0.02,
    reasoner=str(_MINI / "reasoner"),
    segmenter=str(_MINI / "segmenter"),
    frame=Frame(frame_px=280),
    dialect=MULTI,
    max_new_tokens=400,
    about="Knows 68 everyday things in composed scenes; for photographs, --preset visionreasoner-7b.",
)

SEG_ZERO_7B = Preset(
    name="seg-zero-7b",
    weights_gb=16.6,
    reasoner="Ricky06662/Seg-Zero-7B",
    segmenter="sam2.0-large",
    frame=Frame(frame_px=840),
    dialect=SINGLE,
    about="The paper's 7B model: one object per question; some 16 GB in bf16, so it wants a GPU.",
)

VISIONREASONER_7B = Preset(
    name="visionreasoner-7b",
    weights_gb=16.6,
    reasoner="Ricky06662/VisionReasoner-7B",
    segmenter="sam2.0-large",
    frame=Frame(frame_px=840),
    dialect=MULTI,
    evaluation_trim='."?!',  # as its published evaluation asked, though not its training
    about="The 7B successor: several objects or none per question; some 16 GB in bf16, so it wants a GPU.",
)

_SQUARE, _THOUSANDTHS = Frame(frame_px=840), Frame(frame_px=840, grid=1000)
_OWN_SHAPE = Frame(max_pixels=1024 * 1024, multiple=32, grid=1000)

STAR_7B = Preset(
    name="star-7b",
    weights_gb=16.6,
    reasoner="sj9909/StAR-7B/lora_adapter",
    segmenter="sam2.1-large",
    frame=_SQUARE,
    dialect=STAR,
    about="StAR on Qwen2.5-VL: several objects with names, or none; some 17 GB in bf16, so it wants a GPU.",
)

STAR_8B = Preset(
    name="star-8b",
    weights_gb=17.6,
    reasoner="sj9909/StAR-8B/lora_adapter",
    segmenter="sam2.1-large",
    frame=_THOUSANDTHS,
    dialect=STAR,
    about="StAR on Qwen3-VL: several objects with names, or none; some 18 GB in bf16, so it wants a GPU.",
)

STAR_32B = Preset(
    name="star-32b",
    weights_gb=66.8,
    reasoner="sj9909/StAR-32B/lora_adapter",
    segmenter="sam2.1-large",
    frame=_THOUSANDTHS,
    dialect=STAR,
    about="The largest StAR: several objects with names, or none; some 67 GB in bf16, a large GPU.",
)

QWEN3_VL_2B = Preset(
    name="qwen3-vl-2b",
    weights_gb=4.3,
    reasoner="Qwen/Qwen3-VL-2B-Instruct",
    segmenter="sam2.1-tiny",
    frame=_OWN_SHAPE,
    dialect=STAR,
    about="Qwen3-VL as released, never trained for this: several objects with names, or none; some 4 GB.",
)

QWEN3_VL_4B = replace(
    QWEN3_VL_2B,
    name="qwen3-vl-4b",
    weights_gb=8.9,
    reasoner="Qwen/Qwen3-VL-4B-Instruct",
    segmenter="sam2.1-large",
    about="Qwen3-VL as released, never trained for this: several objects with names, or none; some 9 GB.",
)

QWEN3_VL_8B = replace(
    QWEN3_VL_4B,
    name="qwen3-vl-8b",
    weights_gb=17.6,
    reasoner="Qwen/Qwen3-VL-8B-Instruct",
    about="Qwen3-VL as released, never trained for this: several objects with names, or none; some 18 GB.",
)

PRESETS = {
    preset.name: preset
    for preset in (
        MINI,
        SEG_ZERO_7B,
        VISIONREASONER_7B,
        STAR_7B,
        STAR_8B,
        STAR_32B,
        QWEN3_VL_2B,
        QWEN3_VL_4B,
        QWEN3_VL_8B,
    )
}


def preset_for_folder(folder: str | Path, base: Preset) -> Preset:
    """`base` with the reasoner of a folder, and with what the folder's segzero.json says, if it has one.

    segzero.json: {"frame_px": 280, "dialect": "multi", "max_new_tokens": 400}, every key optional; for other
    frames "max_pixels" with "multiple" in place of "frame_px", "grid" and "order", as Frame has them. A frame
    is taken whole: where one of its keys stands, those that do not are as Frame's own. The segmenter and the
    name stay the base's.
    Raises PresetError when the file is there and cannot be used.
    """
    folder = Path(folder)
    path = folder / _SETTINGS
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return replace(base, reasoner=str(folder))
    except Exception as error:  # a stranger's file, and nothing of ours: nested too deep, for one
        raise PresetError(f"{path} cannot be read as JSON ({error}); repair it or remove it") from error
    known = {"dialect", "max_new_tokens", *_FRAME}
    if not isinstance(settings, dict) or not settings.keys() <= known:
        raise PresetError(f"{path} is a JSON object with the keys {', '.join(sorted(known))} and no others")
    if "dialect" in settings:
        if settings["dialect"] not in list(DIALECTS):
            raise PresetError(f"{path}: dialect is one of {', '.join(DIALECTS)}, not {settings['dialect']!r}")
        settings["dialect"] = DIALECTS[settings["dialect"]]
    frame = {key: settings.pop(key) for key in _FRAME if key in settings}
    try:
        if frame:
            settings["frame"] = Frame(**frame)
        return replace(base, reasoner=str(folder), **settings)
    except (PresetError, FrameError) as error:
        raise PresetError(f"{path}: {error}") from error
