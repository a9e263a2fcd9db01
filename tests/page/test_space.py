"""The page as a Hugging Face Space would start it: python -m pytest tests/page/test_space.py

docs/deploy.md says what only a Space can show.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import segzero
from page.zero_gpu import Borrowing
from segzero.contract import MINI, Finished, QuestionError
from segzero.hub import ModelError
from tests.shared.fakes import THOUGHT, FakePipeline, result_of
from tests.shared.forking import FakeSpaces

ZERO_GPU_TORCH = ("2.9.1", "2.10.0", "2.11.0")
ZERO_GPU_PYTHON = ("3.10.13", "3.12.12")
COLORS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


@pytest.fixture
def start(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """start(spaces, **environment): app.py, imported as on a Space; `asked`: the options it loaded with."""

    def start_(spaces: FakeSpaces | None, **environment: str) -> ModuleType:
        asked = []
        for name, value in {
            "SPACE_ID": "some/space",
            "GRADIO_TEMP_DIR": str(tmp_path),
            **environment,
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setitem(sys.modules, "spaces", spaces)  # None: cannot be imported
        monkeypatch.setattr("segzero.cli.load_pipeline", lambda args: asked.append(args) or FakePipeline())
        spec = importlib.util.spec_from_file_location("app_on_a_space", repo / "app.py")
        app = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, app)  # where dataclasses look their types up
        spec.loader.exec_module(app)
        app.asked = asked
        return app

    return start_


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """An upload: it lies where Gradio would put it."""
    path = tmp_path / "seg-zero" / ("0" * 64) / "picture.png"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (60, 40), "teal").save(path)
    return path


def ask(app: ModuleType, picture: Path, question: str) -> list[dict]:
    (segment,) = [fn.fn for fn in app.demo.fns.values() if fn.name == "segment"]
    return list(segment({"path": str(picture), "meta": {"_type": "gradio.FileData"}}, question))


def test_a_zero_gpu_space_asks_where_the_gpu_is(start, picture: Path):
    spaces = FakeSpaces()
    app = start(spaces, SPACES_ZERO_GPU="true", SEGZERO_ARGS="--preset visionreasoner-7b --auth 'me:a b'")
    assert spaces.lent == {"stream": 60, "refine": 60, "candidates": 60}
    (args,) = app.asked
    assert (args.preset, args.auth, args.host) == ("visionreasoner-7b", ("me", "a b"), "0.0.0.0")
    assert app.demo._queue.max_size == 32  # ZeroGPU's own default is 1
    answer = ask(app, picture, "What is left?")[-1]
    assert (answer["status"], answer["thinking"], len(answer["targets"])) == ("ok", THOUGHT, 1)
    assert spaces.ended == 1


def test_a_cpu_space_runs_the_mini_and_needs_no_spaces(start, picture: Path):
    app = start(None)
    assert [args.preset for args in app.asked] == ["mini"]
    assert isinstance(app.load(app.arguments()), FakePipeline)
    assert ask(app, picture, "What is above?")[-1]["status"] == "no_target"


def test_elsewhere_importing_loads_nothing(start, monkeypatch: pytest.MonkeyPatch):
    app = start(None, SPACE_ID="x")
    monkeypatch.delenv("SPACE_ID")
    app.asked.clear()
    app.__spec__.loader.exec_module(app)
    assert app.arguments([]).host == "127.0.0.1" and not app.ON_SPACE and not app.asked


# ------------------------------------------------------------------------- the borrowed GPU


@pytest.fixture
def borrowed() -> tuple[Borrowing, FakeSpaces]:
    spaces = FakeSpaces()
    return Borrowing(FakePipeline(), spaces.GPU(duration=1)), spaces


def test_events_and_masks_come_back_as_they_were(borrowed, picture: Path):
    here = list(FakePipeline().stream(picture, "What is left and right?"))
    there = list(borrowed[0].stream(picture, "What is left and right?"))
    assert [type(event) for event in there] == [type(event) for event in here]
    assert [event for event in there[:-5] if event not in here] == []
    assert np.array_equal(there[-2].mask, here[-2].mask) and there[-2].score == here[-2].score
    assert np.array_equal(there[-1].result.masks, here[-1].result.masks)
    assert there[-1].result.picture.size == (60, 40) and borrowed[0].preset is MINI


def test_who_leaves_or_cancels_ends_the_process(borrowed, picture: Path):
    pipeline, spaces = borrowed
    events = pipeline.stream(picture, "An endless one?")
    next(events)
    events.close()
    assert spaces.ended == 1
    cancel = threading.Event()
    events = pipeline.stream(picture, "An endless one?", cancel=cancel)
    next(events)
    cancel.set()
    assert list(events) == [] and spaces.ended == 2


def test_a_mask_is_corrected_there(borrowed):
    result = result_of((60, 40), "left", "right")
    picture = Image.new("RGB", (60, 40))
    better = borrowed[0].refine(replace(result, picture=picture), 1, add=[(5.0, 9.0)])
    assert better.masks[1, :, 5].all() and better.clicks == {1: (((5.0, 9.0), True),)}
    assert better.picture is picture


def test_what_cannot_be_asked_is_said_at_once(borrowed, picture: Path):
    with pytest.raises(QuestionError):
        borrowed[0].stream(picture, " ")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModelError("the server is gone"), "^the server is gone$"),
        (ZeroDivisionError("details"), "^ZeroDivisionError$"),
    ],
)
def test_a_fault_there_keeps_its_words(picture: Path, error: Exception, said: str):
    class Broken(FakePipeline):
        def stream(self, *args, **options):
            raise error
            yield

    borrowed = Borrowing(Broken(), FakeSpaces().GPU(duration=1))
    with pytest.raises(ModelError, match=said):
        list(borrowed.stream(picture, "What is left?"))


@pytest.mark.slow
def test_the_bundled_mini_answers_in_a_forked_process(repo: Path):
    if not Path(MINI.reasoner).is_dir():
        pytest.skip("the bundled weights are not here yet")
    mini = segzero.load("mini", device="cpu")
    example = repo / "assets" / "examples" / "rain.webp"
    question = "What could keep me dry?"
    *_, last = Borrowing(mini, FakeSpaces().GPU(duration=60)).stream(example, question)
    assert isinstance(last, Finished)
    result = mini.run(example, question)
    assert last.result.raw == result.raw and np.array_equal(last.result.masks, result.masks)


# ------------------------------------------------------------- what README and docs/deploy.md say


def test_the_commands_of_the_docs_are_understood(start, repo: Path):
    app = start(None)
    text = (repo / "docs" / "deploy.md").read_text(encoding="utf-8")
    typed = re.findall(r"^python app\.py (.*)$", text, flags=re.MULTILINE)
    variables = re.findall(r"\| `(--.*)` \|$", text, flags=re.MULTILINE)
    assert len(typed) >= 4 and len(variables) >= 2
    for line in typed + variables:
        words = shlex.split(re.sub(r"\s#.*", "", line))
        assert app.arguments(words).preset in segzero.PRESETS


def settings(repo: Path) -> dict[str, object]:
    yaml = pytest.importorskip("yaml")
    head = re.match(r"---\n(.*?)\n---\n", (repo / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    return yaml.safe_load(head.group(1))


def test_the_settings_are_those_of_a_space(repo: Path):
    said = settings(repo)
    assert (said["sdk"], said["app_file"], said["license"]) == ("gradio", "app.py", "apache-2.0")
    assert {said["colorFrom"], said["colorTo"]} <= COLORS
    assert len(said["short_description"]) <= 60 and said["title"] and said["emoji"]
    assert said["python_version"] in ZERO_GPU_PYTHON
    presets = [preset.reasoner for preset in segzero.PRESETS.values() if preset is not MINI]
    assert set(said["models"]) == {
        "/".join(name.split("/")[:2]) for name in presets
    }  # without an adapter's folder


def test_the_requirements_hold_what_a_space_brings(repo: Path):
    requirements = pytest.importorskip("packaging.requirements")
    lines = [line.split("#")[0] for line in (repo / "requirements.txt").read_text().splitlines()]
    wanted = {each.name: each for line in lines if line.strip() and (each := requirements.Requirement(line))}
    assert settings(repo)["sdk_version"] in wanted["gradio"].specifier and wanted["gradio"].extras == {"mcp"}
    assert all(version in wanted["torch"].specifier for version in ZERO_GPU_TORCH)
    assert "2.12.0" not in wanted["torch"].specifier
