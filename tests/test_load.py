"""segzero.load and the package's face: what is loaded when, and which frame and dialect apply.

python -m pytest tests/test_load.py
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import segzero
from segzero.contract import MINI, MULTI, PRESETS, Frame, Preset
from segzero.contract.answer import SINGLE
from segzero.reasoner import Reasoner, RemoteReasoner
from segzero.reasoner.local import ModelError
from segzero.segmenter import Masks
from tests.shared.tiny import save_tiny_reasoner, script


class Nothing:
    """Stands for a segmenter that nobody asks."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_tiny_reasoner(tmp_path_factory.mktemp("reasoner"))


def test_importing_the_package_brings_neither_torch_nor_transformers(repo: Path):
    code = (
        "import sys, segzero; assert segzero.load and segzero.Pipeline and segzero.Target and segzero.Result;"
        "segzero.ModelError, segzero.QuestionError, segzero.PictureError, segzero.PRESETS;"
        "heavy = {'torch', 'transformers', 'openai', 'huggingface_hub'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=repo, check=True)


def test_every_public_name_is_there():
    assert all(getattr(segzero, name) for name in segzero.__all__)
    with pytest.raises(AttributeError, match="No segzero attribute pipline"):
        segzero.pipline  # noqa: B018


def test_objects_are_taken_as_they_are():
    reasoner, segmenter = object(), Nothing()
    pipeline = segzero.load("mini", reasoner=reasoner, segmenter=segmenter)
    assert pipeline.reasoner is reasoner and pipeline.segmenter is segmenter and pipeline.preset is MINI


def test_a_folder_answers_with_the_frame_and_dialect_it_asks_for(folder: Path, tmp_path: Path):
    own = save_tiny_reasoner(tmp_path)
    settings = {"frame_px": 112, "dialect": "single", "max_new_tokens": 99}
    (own / "segzero.json").write_text(json.dumps(settings))
    base = Preset(
        name="base",
        reasoner=str(folder),
        segmenter="",
        frame=Frame(frame_px=84),
        dialect=MULTI,
        max_new_tokens=50,
    )

    plain = segzero.load(base, segmenter=Nothing(), device="cpu")
    assert (plain.preset.frame.frame_px, plain.preset.dialect) == (84, MULTI)
    assert plain.reasoner.max_new_tokens == 50

    for reasoner in (own, str(own)):
        pipeline = segzero.load(base, reasoner=reasoner, segmenter=Nothing(), device="cpu")
        assert (pipeline.preset.frame.frame_px, pipeline.preset.dialect) == (112, SINGLE)
        assert pipeline.reasoner.max_new_tokens == 99
        assert (pipeline.preset.name, pipeline.preset.reasoner) == ("base", str(own))

    as_preset = segzero.load(replace(base, reasoner=str(own)), segmenter=Nothing(), device="cpu")
    assert (as_preset.preset.frame.frame_px, as_preset.preset.dialect) == (112, SINGLE)


def test_a_tiny_model_answers_through_the_whole_pipeline(folder: Path):
    class Half:
        def embed(self, image):
            pass

        def segment(self, image, targets):
            masks = np.zeros((len(targets), image.height, image.width), bool)
            masks[:, :, : image.width // 2] = True
            return Masks(masks, np.ones(len(targets), np.float32), None)

    base = Preset(name="base", reasoner=str(folder), segmenter="", frame=Frame(frame_px=56), dialect=MULTI)
    pipeline = segzero.load(base, segmenter=Half(), device="cpu")
    script(
        pipeline.reasoner,
        '<think>Left.</think><answer>[{"bbox_2d": [0,0,28,56], "point_2d": [14,28]}]</answer>',
    )
    result = pipeline.run(Image.new("RGB", (80, 40), "red"), "Which side?")
    assert (result.status, result.problem, result.thinking) == ("ok", "", "Left.")
    assert result.targets == [segzero.Target((0, 0, 40, 40), ((20, 20),))]
    assert result.mask.sum() == 40 * 40 and result.tokens > 20


def test_a_server_by_its_address(caplog):
    address = "http://127.0.0.1:8000/v1#my-model"
    pipeline = segzero.load("visionreasoner-7b", reasoner=address, segmenter=Nothing())
    assert isinstance(pipeline.reasoner, RemoteReasoner)
    assert (pipeline.reasoner.base_url, pipeline.reasoner.model) == ("http://127.0.0.1:8000/v1", "my-model")
    assert pipeline.reasoner.max_new_tokens == 1024
    assert (pipeline.preset.frame.frame_px, pipeline.preset.dialect) == (840, MULTI)
    assert "must not resize it" in caplog.text
    caplog.clear()
    segzero.load("star-8b", reasoner=address, segmenter=Nothing())
    assert not caplog.text  # thousandths are right whatever the model is shown
    unnamed = segzero.load("mini", reasoner="https://127.0.0.1:8000/v1", segmenter=Nothing())
    assert unnamed.reasoner.model == ""  # it is looked up when the first question is asked


def test_a_reasoner_that_a_preset_names_brings_that_presets_frame_and_dialect():
    seg_zero = PRESETS["seg-zero-7b"]
    address = f"http://127.0.0.1:8000/v1#{seg_zero.reasoner}"
    pipeline = segzero.load("mini", reasoner=address, segmenter=Nothing())
    assert (pipeline.preset.frame.frame_px, pipeline.preset.dialect) == (840, SINGLE)
    assert pipeline.preset.name == "mini" and pipeline.preset.reasoner == address


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"preset": "maxi"}, "PresetError", "there is no preset 'maxi'; choose one of mini, seg-zero-7b"),
        ({"reasoner": "nobody/nothing-of-this-name"}, "ModelError", "nobody/nothing-of-this-name"),
        ({"reasoner": "no-such-folder"}, "ModelError", "no-such-folder"),
        ({"reasoner": Path("no-such-folder")}, "ModelError", "no-such-folder"),
    ],
)
def test_what_cannot_be_loaded_says_so_in_one_line(options: dict, error: str, words: str):
    with pytest.raises(getattr(segzero, error)) as caught:
        segzero.load(**options, segmenter=Nothing())
    assert words in str(caught.value) and "\n" not in str(caught.value)


# -------------------------------------------------------------------------- a model that cannot be loaded


def one_line(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert "\n" not in text and 20 < len(text) < 500
    return text


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("nobody/nothing-of-this-name", "cannot be reached"),
        ("no-such-folder", "no folder"),
        ("/no/such/folder", "no folder"),
        ("a//b/c", "no folder"),
        ("", "named"),
    ],
)
def test_a_model_that_is_not_there(model: str, words: str):
    began = time.perf_counter()
    with pytest.raises(ModelError) as caught:
        Reasoner.load(model)
    assert model in one_line(caught) and words in one_line(caught)
    assert time.perf_counter() - began < 120  # at once; it asks nobody again and again


def damage(folder: Path, how: str) -> None:
    config = folder / "config.json"
    match how:
        case "no config":
            config.unlink()
        case "config is no JSON":
            config.write_text("{")
        case "config says nothing":
            config.write_text("{}")
        case "text model":
            config.write_text(json.dumps({"model_type": "qwen2", "vocab_size": 10}))
        case "unknown model":
            config.write_text(json.dumps({"model_type": "no-such-model"}))
        case "no weights":
            (folder / "model.safetensors").unlink()
        case "half the weights":
            path = folder / "model.safetensors"
            path.write_bytes(path.read_bytes()[:5000])
        case "other weights":
            save_file({"x": torch.zeros(1)}, folder / "model.safetensors", metadata={"format": "pt"})
        case "no tokenizer":
            (folder / "tokenizer.json").unlink()
            (folder / "tokenizer_config.json").unlink()
        case "no chat template":
            (folder / "chat_template.jinja").unlink()
        case "other size":
            text = json.loads(config.read_text())
            text["text_config"]["hidden_size"] = 64
            config.write_text(json.dumps(text))


@pytest.mark.parametrize(
    "how",
    [
        "no config",
        "config is no JSON",
        "config says nothing",
        "text model",
        "unknown model",
        "no weights",
        "half the weights",
        "other weights",
        "other size",
        "no tokenizer",
        "no chat template",
    ],
)
def test_a_damaged_folder_gives_one_line(folder: Path, tmp_path: Path, how: str):
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    damage(broken, how)
    with pytest.raises(ModelError) as caught:
        Reasoner.load(broken, device="cpu")
    assert "broken" in one_line(caught)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_gives_one_line(folder: Path):
    with pytest.raises(ModelError) as caught:
        Reasoner.load(folder, device="cuda")
    assert "Device cuda cannot be used" in one_line(caught)
