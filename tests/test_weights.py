"""The helper that fills every model: which tensors it refuses, what it says, and what it never hides.

python -m pytest tests/test_weights.py
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from segzero.hub import ModelError, model_folder
from segzero.weights import WeightsError, fill, named, read_checkpoint, reading, shape_of


def tensors(*names: str, shape: tuple[int, ...] = (2, 3)) -> dict[str, torch.Tensor]:
    return {name: torch.zeros(shape) for name in names}


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (tensors("weight"), "lack 1 tensor, bias for one"),
        (
            tensors("weight") | tensors("bias", shape=(2,)) | tensors("odd"),
            "hold 1 tensor without a place in the model, odd for one",
        ),
        (
            tensors("x.weight", "x.bias"),
            "lack 2 tensors, bias for one and hold 2 tensors without a place in the model, x.bias for one",
        ),
        (tensors("weight", "bias"), r"hold 1 tensor of another shape, bias for one: \(2, 3\), not \(2,\)"),
        ({}, "lack 2 tensors"),
    ],
    ids=["missing", "unexpected", "wrapped", "another shape", "nothing"],
)
def test_a_model_is_filled_with_its_own_tensors_or_not_at_all(held, said):
    model = nn.Linear(3, 2)
    before = model.weight.clone()
    with pytest.raises(WeightsError, match=said):
        fill(model, held)
    assert torch.equal(model.weight, before)


def test_half_precision_becomes_the_models_own():
    model = nn.Linear(3, 2)
    fill(model, {"weight": torch.ones(2, 3).half(), "bias": torch.ones(2).to(torch.float8_e4m3fn)})
    assert model.weight.dtype == torch.float32 and model.weight.sum() == 6 and model.bias.sum() == 2


@pytest.mark.parametrize(
    "error",
    [AttributeError("no bf16"), KeyError("widths"), RecursionError(), EOFError(), MemoryError("full")],
)
def test_whatever_happens_while_a_file_is_read_keeps_its_cause(error):
    with (
        pytest.raises(ModelError) as caught,
        named("x cannot be loaded", "Take y"),
        reading("its config.json"),
    ):
        raise error
    assert str(caught.value).startswith("x cannot be loaded: its config.json cannot be read (")
    assert type(error).__name__ in str(caught.value) and str(caught.value).endswith(". Take y.")
    assert caught.value.__cause__.__cause__ is error


def test_a_bug_of_our_own_and_a_stop_stay_what_they_are():
    with pytest.raises(AttributeError), named("x cannot be loaded", "Take y"):
        raise AttributeError("ours")
    with pytest.raises(KeyboardInterrupt), named("x cannot be loaded", "Take y"), reading("it"):
        raise KeyboardInterrupt


def test_a_shape_is_told_or_refused():
    held = {"a": torch.zeros(4, 5), "none": torch.zeros(0, 5), "scalar": torch.tensor(1.0)}
    assert shape_of(held, "a", 2) == (4, 5)
    for name, said in (("b", "lack the tensor b"), ("none", "not 2 sizes"), ("scalar", "not 2 sizes")):
        with pytest.raises(WeightsError, match=said):
            shape_of(held, name, 2)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" * 30, b"\x80\x02]q\x00."])
def test_a_file_that_is_no_checkpoint_is_one_line(tmp_path, content):
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


# -------------------------------------------------------------------------------------- finding the folder


def test_an_adapter_is_told_as_such_whatever_lies_beside_it(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    for _ in range(2):
        with pytest.raises(ModelError, match=r"holds an adapter \(LoRA\).*`model` in its output_dir"):
            model_folder(tmp_path)
        (tmp_path / "config.json").write_text("{}")


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "~nobody-of-this-name/x", "a" * 5000 + "/b" * 2])
def test_a_name_that_no_folder_can_have_is_one_line(name):
    with pytest.raises(ModelError, match="no folder here"):
        model_folder(name)
