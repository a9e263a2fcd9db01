"""A run goes on after a checkpoint that is whole, says which it passed over, and never goes on with less.

python -m pytest tests/train/test_checkpoints.py
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from tests.shared.grpo_runs import make_rows, make_trainer
from tests.shared.tiny import save_tiny_reasoner
from train.checkpoints import CheckpointError, numbered, prune, resume_point
from train.trainer import Trainer

LANGUAGE = r".*language_model.*\.(q_proj|v_proj)"
KINDS = ("all weights", "LoRA")


@pytest.fixture(scope="module")
def make(tmp_path_factory) -> Callable[..., Trainer]:
    """Makes a trainer on the same tiny model and rows: make(out, rank=4, **settings)."""
    folder = tmp_path_factory.mktemp("make")
    model, rows = save_tiny_reasoner(folder / "model"), make_rows(folder)

    def make(out: Path, *, rank: int = 0, targets: str = LANGUAGE, **settings) -> Trainer:
        lora = LoraConfig(target_modules=targets, r=rank, lora_alpha=8) if rank else None
        given = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1, **settings}
        return make_trainer(Trainer, model, rows, out, peft_config=lora, **given)

    return make


@pytest.fixture(scope="module")
def runs(make, tmp_path_factory) -> dict[str, Path]:
    """Runs with two checkpoints, by what they trained."""
    out = {kind: tmp_path_factory.mktemp("run") for kind in KINDS}
    for kind in KINDS:
        make(out[kind], rank=4 * (kind == "LoRA")).train()
    return out


@pytest.fixture(scope="module")
def trainers(make, tmp_path_factory) -> dict[str, Trainer]:
    return {kind: make(tmp_path_factory.mktemp("again"), rank=4 * (kind == "LoRA")) for kind in KINDS}


# -------------------------------------------------------------------------------------- damaged, or not there


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


def overwrite(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 8)


def zero(path: Path) -> None:
    """As a disk leaves a file whose blocks it did not write in time."""
    path.write_bytes(bytes(path.stat().st_size))


def flip(path: Path) -> None:
    """One wrong byte in the middle of a large part."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def other(path: Path) -> None:
    """A file of its kind that opens and holds something else."""
    if path.suffix == ".json":
        path.write_text("{}")
    elif path.suffix == ".safetensors":
        save_file({"something": torch.zeros(2)}, path, metadata={"format": "pt"})
    else:
        torch.save({"something": 1}, path)


def without_a_tensor(path: Path) -> None:
    tensors = load_file(path)
    tensors.pop(sorted(tensors)[1])
    save_file(tensors, path, metadata={"format": "pt"})


COMMON = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")
OWN = {"all weights": ("model.safetensors", "config.json"), "LoRA": ("adapter_model.safetensors",)}
DAMAGES = [
    (kind, name, harm)
    for kind in KINDS
    for name in (*COMMON, *OWN[kind])
    for harm in (remove, empty, cut, overwrite, zero, other)
]
DAMAGES += [
    ("all weights", "optimizer.pt", flip),
    ("all weights", "model.safetensors", without_a_tensor),
    ("LoRA", "adapter_model.safetensors", without_a_tensor),
    *(("LoRA", "adapter_config.json", harm) for harm in (remove, empty, cut, overwrite, zero)),
]


@pytest.mark.parametrize(
    ("kind", "name", "harm"), DAMAGES, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_damaged_checkpoint_is_passed_over(runs, trainers, tmp_path, capsys, kind, name, harm):
    run = shutil.copytree(runs[kind], tmp_path / "run")
    harm(run / "checkpoint-2" / name)
    assert resume_point(trainers[kind], run) == run / "checkpoint-1"
    passed, going = capsys.readouterr().out.splitlines()
    assert passed.startswith(f"passed over {run / 'checkpoint-2'}: ")
    assert name in passed or "among its weights" in passed
    assert going == f"going on after {run / 'checkpoint-1'}; another --output_dir starts anew"
    with pytest.raises(CheckpointError, match="checkpoint-2 is no whole checkpoint: ") as caught:
        resume_point(trainers[kind], run, str(run / "checkpoint-2"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_where_none_is_whole_it_begins_anew_and_says_so(runs, trainers, tmp_path, capsys, kind):
    run = shutil.copytree(runs[kind], tmp_path / "run")
    for step in (1, 2):
        (run / f"checkpoint-{step}" / "optimizer.pt").unlink()
    assert resume_point(trainers[kind], run) is None
    assert capsys.readouterr().out.splitlines()[-1] == f"no checkpoint in {run} is whole: starting anew"
    assert resume_point(trainers[kind], tmp_path / "nowhere") is None and capsys.readouterr().out == ""


def test_folders_with_other_names_are_no_checkpoints(runs, trainers, tmp_path, capsys):
    run = shutil.copytree(runs["all weights"], tmp_path / "run")
    for name in ("checkpoint-best", "checkpoint-2-old", "checkpoint-", "checkpoint-1e3"):
        shutil.copytree(run / "checkpoint-1", run / name)
    (run / "checkpoint-7").touch()
    assert resume_point(trainers["all weights"], run) == run / "checkpoint-2"
    assert resume_point(trainers["all weights"], run, str(run / "checkpoint-best")) == run / "checkpoint-best"
    shutil.copytree(run / "checkpoint-1", run / "checkpoint-9")
    capsys.readouterr()
    assert resume_point(trainers["all weights"], run) == run / "checkpoint-2"
    assert "checkpoint-9: trainer_state.json is that of step 1" in capsys.readouterr().out


def test_a_mended_run_ends_in_the_same_numbers(make, runs, tmp_path):
    run = shutil.copytree(runs["all weights"], tmp_path / "run")
    flip(run / "checkpoint-2" / "optimizer.pt")
    again = make(run)
    again.train(resume_from_checkpoint=str(resume_point(again, run)))
    whole = load_file(runs["all weights"] / "checkpoint-2" / "model.safetensors")
    mended = load_file(run / "checkpoint-2" / "model.safetensors")
    assert all(torch.equal(whole[name], mended[name]) for name in whole)
    assert resume_point(again, run) == run / "checkpoint-2"


# --------------------------------------------------------------------------------------------- of another run


def test_another_rank_ends_in_one_line(runs, make, tmp_path):
    for settings, said in (
        ({"rank": 8}, "an adapter with r 4, now 8"),
        ({"rank": 4, "targets": r".*language_model.*\.q_proj"}, "an adapter with target_modules"),
        ({"rank": 0}, "trained LoRA, this run trains all weights"),
    ):
        with pytest.raises(CheckpointError, match=re.escape(said) + ".*another --output_dir") as caught:
            resume_point(make(tmp_path, **settings), runs["LoRA"])
        assert "\n" not in str(caught.value)


def test_all_weights_and_then_something_else_ends_in_one_line(runs, make, tmp_path):
    with pytest.raises(CheckpointError, match="trained all weights, this run trains LoRA"):
        resume_point(make(tmp_path, rank=4), runs["all weights"])
    fewer = make(tmp_path)
    fewer.bare_model.model.visual.requires_grad_(False)
    with pytest.raises(CheckpointError, match=r"trained \d+ tensors, this run trains \d+"):
        resume_point(fewer, runs["all weights"])


def test_another_model_ends_in_one_line(runs, trainers, tmp_path):
    run = shutil.copytree(runs["all weights"], tmp_path / "run")
    path = run / "checkpoint-2" / "model.safetensors"
    wider = {name: torch.cat([value, value]) for name, value in load_file(path).items()}
    save_file(wider, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="weights of another size"):
        resume_point(trainers["all weights"], run)


def test_another_optimizer_ends_in_one_line(runs, make, tmp_path):
    with pytest.raises(CheckpointError, match="the state of another optimizer than SGD"):
        resume_point(make(tmp_path, optim="sgd"), runs["all weights"])


def test_another_number_of_processes_ends_in_one_line(runs, trainers, tmp_path):
    run = shutil.copytree(runs["all weights"], tmp_path / "run")
    state = run / "checkpoint-2" / "rng_state.pth"
    for index in range(2):
        shutil.copy(state, state.with_name(f"rng_state_{index}.pth"))
    state.unlink()
    with pytest.raises(CheckpointError, match="another number of processes, 2, than this run's, 1"):
        resume_point(trainers["all weights"], run)


def test_the_best_checkpoint_has_to_be_there(runs, make, tmp_path, capsys):
    run = shutil.copytree(runs["all weights"], tmp_path / "run")
    about = run / "checkpoint-2" / "trainer_state.json"
    state = json.loads(about.read_text()) | {"best_model_checkpoint": "moved/away/checkpoint-1"}
    about.write_text(json.dumps(state))
    trainer = make(run)
    trainer.args.load_best_model_at_end = True
    assert resume_point(trainer, run) == run / "checkpoint-2"  # found where the run now lies
    cut(run / "checkpoint-1" / "model.safetensors")
    with pytest.raises(
        CheckpointError, match=r"cannot end in the best checkpoint, .*checkpoint-1: .*damaged"
    ):
        resume_point(trainer, run)


def test_only_numbered_checkpoints_are_deleted(make, tmp_path):
    (tmp_path / "checkpoint-best").mkdir()
    make(tmp_path, max_steps=3, save_total_limit=1).train()
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-3", "checkpoint-best"]
    for step in (1, 2, 9):
        (tmp_path / f"checkpoint-{step}").mkdir()
    prune(tmp_path, 2, {tmp_path / "checkpoint-2"})
    assert [path.name for path in numbered(tmp_path)] == ["checkpoint-9", "checkpoint-2"]
    prune(tmp_path, None, set())
    assert len(numbered(tmp_path)) == 2
