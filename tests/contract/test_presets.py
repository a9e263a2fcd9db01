"""The presets, and folders that say how they want to be used.

python -m pytest tests/contract/test_presets.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from segzero.contract import MINI, MULTI, PRESETS, SEG_ZERO_7B, Frame, PresetError, preset_for_folder
from segzero.contract.answer import SINGLE
from segzero.contract.presets import VISIONREASONER_7B


def test_the_presets_are_those_of_the_public_releases_and_the_bundled_one():
    assert list(PRESETS)[:3] == ["mini", "seg-zero-7b", "visionreasoner-7b"]
    assert list(PRESETS)[3:6] == ["star-7b", "star-8b", "star-32b"]
    assert list(PRESETS)[6:] == ["qwen3-vl-2b", "qwen3-vl-4b", "qwen3-vl-8b"]
    assert all(PRESETS[name].name == name for name in PRESETS)
    settings = {p.name: (p.frame.frame_px, p.dialect, p.max_new_tokens) for p in PRESETS.values()}
    assert settings["seg-zero-7b"] == (840, SINGLE, 1024)
    assert settings["visionreasoner-7b"] == (840, MULTI, 1024)
    assert settings["mini"][:2] == (280, MULTI)
    assert SEG_ZERO_7B.reasoner == "Ricky06662/Seg-Zero-7B"
    assert VISIONREASONER_7B.reasoner == "Ricky06662/VisionReasoner-7B"
    assert SEG_ZERO_7B.segmenter == VISIONREASONER_7B.segmenter == "sam2.0-large"


def test_every_preset_says_in_a_sentence_what_it_is():
    for preset in PRESETS.values():
        assert preset.about.endswith(".") and preset.about.count(". ") == 0


def test_the_bundled_preset_is_found_from_any_working_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    root = Path(__file__).resolve().parents[2]
    assert Path(MINI.reasoner) == root / "assets" / "mini" / "reasoner"
    assert Path(MINI.segmenter) == root / "assets" / "mini" / "segmenter"


@pytest.mark.parametrize(
    ("case", "change"),
    [
        ("no tokens", {"max_new_tokens": -1}),
        ("half a token", {"max_new_tokens": 9.5}),
        ("true is no number", {"max_new_tokens": True}),
    ],
)
def test_a_preset_has_a_usable_limit(case, change):
    with pytest.raises(PresetError, match=next(iter(change))):
        replace(MINI, **change)


def test_a_folder_without_settings_takes_the_rest_from_the_base(tmp_path):
    assert preset_for_folder(tmp_path, MINI) == replace(MINI, reasoner=str(tmp_path))
    assert preset_for_folder(str(tmp_path / "missing"), MINI).reasoner == str(tmp_path / "missing")


def test_a_folder_says_how_its_model_was_trained(tmp_path):
    (tmp_path / "segzero.json").write_text('{"frame_px": 224, "dialect": "single", "max_new_tokens": 99}')
    got = preset_for_folder(tmp_path, MINI)
    assert (got.frame.frame_px, got.dialect, got.max_new_tokens) == (224, SINGLE, 99)
    assert (got.name, got.segmenter, got.reasoner) == ("mini", MINI.segmenter, str(tmp_path))
    (tmp_path / "segzero.json").write_text('{"frame_px": 224}')
    assert preset_for_folder(tmp_path, MINI) == replace(
        MINI, reasoner=str(tmp_path), frame=Frame(frame_px=224)
    )


@pytest.mark.parametrize(
    ("case", "text", "words"),
    [
        ("no JSON", "{", "cannot be read as JSON"),
        ("not UTF-8", "\xff", "cannot be read as JSON"),
        ("a list", "[]", "JSON object"),
        ("a key nobody knows", '{"frame": 168}', "max_new_tokens, max_pixels, multiple, order and no others"),
        ("a dialect nobody speaks", '{"dialect": "double"}', "single, multi, star, not 'double'"),
        ("a dialect that is a list", '{"dialect": ["multi"]}', "single, multi"),
        ("a frame as text", '{"frame_px": "168"}', "frame_px is a whole number"),
    ],
)
def test_settings_that_cannot_be_used_are_named(tmp_path, case, text, words):
    (tmp_path / "segzero.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(PresetError) as caught:
        preset_for_folder(tmp_path, MINI)
    assert words in str(caught.value) and "segzero.json" in str(caught.value), case
    assert "\n" not in str(caught.value), case
