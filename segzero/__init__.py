"""Seg-Zero: ask a question about a picture, read the reasoning, get the pixels.

    import segzero
    result = segzero.load("mini").run("scene.png", "What could keep me dry?")

Importing this loads no model and not even torch; `load` does.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from segzero.contract import Preset
    from segzero.pipeline import Pipeline

log = logging.getLogger(__name__)

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "contract": [
            "PRESETS",
            "Finished",
            "Located",
            "Preset",
            "PresetError",
            "QuestionError",
            "Result",
            "Segmented",
            "Target",
            "Thinking",
        ],
        "hub": ["ModelError"],
        "pictures": ["PictureError"],
        "pipeline": ["Pipeline"],
        "segmenter": ["SegmenterError"],
    },
)
__all__ += ["load"]


def load(
    preset: str | Preset = "mini",
    *,
    reasoner: object | None = None,
    segmenter: object | None = None,
    device: str | None = None,
    quantize: str | None = None,
    force: bool = False,
) -> Pipeline:
    """Load the models of a preset and put them together.

    preset: a Preset, or the name of one in PRESETS.
    reasoner: in place of the preset's, one of
        a folder, such as a checkpoint that training wrote; its segzero.json overrides frame and dialect,
        a Hub id, or owner/name/folder; one that a preset names brings that preset's frame and dialect,
        either of these with a LoRA adapter, which is merged into its base,
        "http://host:port/v1#model-name", for a model on an OpenAI-compatible server,
        an object with a `stream` like Reasoner's.
    segmenter: in place of the preset's, a name or path that Segmenter.load knows, or an object like it.
    device: "cuda", "mps" or "cpu" for both; None takes the best there is.
    quantize: "8bit" or "4bit" for the reasoner's weights, on small cards.
    force: download and load a reasoner even where this machine seems too small for it.
    Raises PresetError and ModelError, each in one line.
    """
    from segzero.pipeline import Pipeline

    chosen = _preset(preset)
    if reasoner is None or isinstance(reasoner, (str, Path)):
        reasoner, chosen = _load_reasoner(chosen, reasoner, device, quantize, force)
    if segmenter is None or isinstance(segmenter, (str, Path)):
        from segzero.segmenter import Segmenter

        chosen = replace(chosen, segmenter=str(segmenter or chosen.segmenter))
        segmenter = Segmenter.load(segmenter or chosen.segmenter, device=device)
    return Pipeline(reasoner, segmenter, chosen)


def _preset(preset: str | Preset) -> Preset:
    from segzero.contract import PRESETS, PresetError

    if not isinstance(preset, str):
        return preset
    if preset not in PRESETS:
        raise PresetError(f"there is no preset {preset!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[preset]


def _load_reasoner(
    preset: Preset, name: str | Path | None, device: str | None, quantize: str | None, force: bool
) -> tuple[object, Preset]:
    """The reasoner called `name`, or the preset's own, and the preset as that reasoner needs it."""
    from segzero.contract import PRESETS, preset_for_folder
    from segzero.hub import hub_cache, model_folder
    from segzero.room import GB, Load, lacking, room_here, what_fits

    if name is not None:
        model = str(name).partition("#")[2] or str(name)  # behind an address stands what the server calls it
        known = next((each for each in PRESETS.values() if each.reasoner == model), preset)
        preset = replace(preset, reasoner=str(name), frame=known.frame, dialect=known.dialect)
    if preset.reasoner.startswith(("http://", "https://")):
        from segzero.reasoner import RemoteReasoner

        if preset.frame.grid is None:
            log.warning(
                "%s: its model answers in pixels of the picture that it is sent, so the server must not "
                "resize it (docs/servers.md says which do)",
                preset.reasoner,
            )
        return RemoteReasoner.from_address(preset.reasoner, max_new_tokens=preset.max_new_tokens), preset

    def problem(load: Load) -> str:
        from segzero.weights import best_device

        room = room_here(device or best_device(), hub_cache())
        short = "" if force else lacking(load, room, quantize)
        sizes = {each.name: int(each.weights_gb * GB) for each in PRESETS.values()}
        return f"{short}; {what_fits(load, room, sizes)}" if short else ""

    folder = model_folder(preset.reasoner, adapter=True, lacking=problem)
    preset = replace(preset_for_folder(folder, preset), reasoner=preset.reasoner)

    from segzero.reasoner import Reasoner  # brings torch: only now that there is something to load

    more = {"max_new_tokens": preset.max_new_tokens, "quantize": quantize, "lacking": problem}
    return Reasoner.load(folder, device=device, **more), preset
