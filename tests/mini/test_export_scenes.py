"""Composed scenes as data: python -m pytest tests/mini/test_export_scenes.py"""

from __future__ import annotations

from pathlib import Path

import pytest

from segzero.data import load_sample, read_samples, write_dataset
from train.mini import export
from train.mini.export import choose
from train.mini.language import Question
from train.mini.world.pieces import World

OFFERED = [Question(kind, f"{kind}?", "", ()) for kind in ("name", "none", "several", "none")]


@pytest.mark.parametrize(
    ("kind", "count", "kinds"),
    [("none", 1, ["none"]), ("none", 3, ["none", "none", "name"]), ("ordinal", 1, ["name"]), ("name", 9, 4)],
)
def test_the_wanted_kind_comes_first(kind: str, count: int, kinds):
    found = [question.kind for question in choose(OFFERED, kind, count)]
    assert len(found) == kinds if isinstance(kinds, int) else found == kinds


def test_scenes_are_data_to_evaluate_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    few = World.load(concepts={"dog", "umbrella", "car", "cat", "bus", "guitar"})
    monkeypatch.setattr(export.World, "load", lambda **options: few)
    written = write_dataset(tmp_path / "a", export.items("test", scenes=3, questions=2, seed=1))
    again = write_dataset(tmp_path / "b", export.items("test", scenes=3, questions=2, seed=1))
    assert written.written >= 3 and written.pictures <= 3
    assert (tmp_path / "a" / "data.jsonl").read_bytes() == (tmp_path / "b" / "data.jsonl").read_bytes()
    assert written.refused == again.refused
    for sample in read_samples(tmp_path / "a")[0]:
        loaded = load_sample(sample)
        assert loaded.truth.shape == loaded.picture.size[::-1] and sample.kind
        assert loaded.truth.any() == (sample.kind != "none")
