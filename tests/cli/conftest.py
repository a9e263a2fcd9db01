"""What the tests of the evaluation command stand on: a small data set and stand-ins for the models."""

from __future__ import annotations

from pathlib import Path

import pytest

from segzero.cli import evaluate as command
from segzero.data import write_dataset
from segzero.pipeline import Pipeline
from tests.shared.evaluating import ITEMS, Reasoner, Segmenter
from tests.shared.scripted import PRESET


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder that commands run in, with the data set `mine`."""
    monkeypatch.chdir(tmp_path)
    write_dataset(Path("mine"), ITEMS)
    return tmp_path


@pytest.fixture
def reasoner(monkeypatch: pytest.MonkeyPatch, here: Path) -> Reasoner:
    """Who answers in place of a model."""
    talker = Reasoner()
    monkeypatch.setattr(command, "load_pipeline", lambda args: Pipeline(talker, Segmenter(), PRESET))
    return talker
