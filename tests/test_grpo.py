"""The script as people launch it: recipes, a run from data to a model that opens, going on, two processes.

python -m pytest tests/test_grpo.py -m "not slow"
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from grpo_runs import make_rows
from safetensors.torch import load_file
from tiny import save_tiny_reasoner

from segzero.presets import PRESETS, preset_for_folder
from segzero.reasoner import Reasoner
from train.console import Console
from train.grpo import LANGUAGE_LAYERS, main, read_arguments, usable_cpus
from train.sheet import sheet
from train.trainer import Rollout

REPO = Path(__file__).resolve().parents[1]
RECIPES = sorted((REPO / "train" / "recipes").glob("*.yaml"))
CPU = ["--use_cpu", "true", "--bf16", "false", "--gradient_checkpointing", "false", "--report_to", "none"]

PUBLISHED = {
    "num_generations": 8,
    "temperature": 1.0,
    "use_bias_correction_kl": False,
    "loss_type": "grpo",
    "scale_rewards": "group",
    "epsilon": 0.2,
    "num_iterations": 1,
    "entropy_coef": 1e-3,
    "learning_rate": 1e-6,
    "weight_decay": 1e-2,
    "lr_scheduler_type": "constant",
    "num_train_epochs": 1,
    "max_grad_norm": 1.0,
    "warmup_steps": 0,
}


# --------------------------------------------------------------------------------------------------- recipes


def test_there_are_the_recipes_that_the_readme_lists():
    named = set(re.findall(r"`(\w+)\.yaml`", (REPO / "train" / "README.md").read_text(encoding="utf-8")))
    assert {path.stem for path in RECIPES} <= named
    assert {path.stem for path in (REPO / "train" / "accelerate").glob("*.yaml")} <= named


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_reads(path: Path, tmp_path):
    run, args, model, text = read_arguments(["--config", str(path), "--output_dir", str(tmp_path), *CPU])
    preset = PRESETS[run.preset]
    assert (model.model_name_or_path or preset.reasoner) and run.max_prompt_length >= (
        preset.frame_px // 28
    ) ** 2
    assert args.per_device_train_batch_size == args.num_generations  # a micro-batch is a group
    assert text.startswith("# train/grpo.py --config") and text.endswith(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "beta", "length", "rewards", "dialect"),
    [
        ("seg_zero_3b", 5e-3, 1300, "seg_zero", "single"),
        ("seg_zero_7b", 5e-3, 1300, "seg_zero", "single"),
        ("visionreasoner_7b", 1e-2, 2000, "vision_reasoner", "multi"),
    ],
)
def test_a_published_recipe_has_the_published_values(name, beta, length, rewards, dialect, tmp_path):
    path = REPO / "train" / "recipes" / f"{name}.yaml"
    run, args, model, _ = read_arguments(["--config", str(path), "--output_dir", str(tmp_path), *CPU])
    assert {key: getattr(args, key) for key in PUBLISHED} == PUBLISHED
    assert (args.beta, args.max_completion_length, run.rewards) == (beta, length, rewards)
    assert (PRESETS[run.preset].dialect.name, PRESETS[run.preset].frame_px) == (dialect, 840)
    assert 8 * args.per_device_train_batch_size * args.gradient_accumulation_steps == 16 * 8  # on 8 GPUs
    assert model.dtype == "float32" and not model.use_peft and "Qwen2.5-VL" in model.model_name_or_path


def test_the_command_line_goes_above_the_recipe(tmp_path):
    run, args, _, _ = read_arguments(["--output_dir", str(tmp_path), "--beta", "0.5", "--rows", "3"])
    assert (run.preset, run.data, run.rows, args.beta) == ("mini", "scenes", 3, 0.5)


@pytest.mark.parametrize("argv", [["--rewards", "gold"], ["--preset", "maxi"]])
def test_a_name_that_is_none_ends_in_one_line(argv: list[str], tmp_path):
    with pytest.raises(SystemExit, match=f"^{argv[0]} is one of .*, not {argv[1]}$"):
        read_arguments(["--output_dir", str(tmp_path), *argv])


def test_only_the_cpus_that_a_process_may_use_are_counted(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5}, raising=False)
    assert usable_cpus() == 2
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    assert usable_cpus() == 64


@pytest.mark.parametrize(
    ("layer", "adapted"),
    [
        ("model.language_model.layers.3.self_attn.q_proj", True),
        ("model.language_model.layers.3.mlp.down_proj", True),
        ("model.visual.blocks.3.mlp.down_proj", False),
        ("model.visual.blocks.3.attn.qkv", False),
        ("lm_head", False),
    ],
)
def test_lora_goes_to_the_language_model_alone(layer: str, adapted: bool):
    assert bool(re.fullmatch(LANGUAGE_LAYERS, layer)) is adapted


# ----------------------------------------------------------------------------------------------------- a run


SQUARE = [[10, 10, 30, 10, 30, 25, 10, 25]]  # a COCO polygon


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A folder of data as people bring it: four pictures, four questions, and a line that is none."""
    folder = tmp_path_factory.mktemp("data")
    lines = [
        {"image": Path(row["image"]).name, "question": f"thing {row['id']}", "masks": [SQUARE]}
        for row in make_rows(folder)
    ]
    lines.append({"image": "gone.png", "question": "where?", "masks": []})
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_tiny_reasoner(tmp_path_factory.mktemp("reasoner"))


def arguments(model: Path, pictures: Path, out: Path, *more: str) -> list[str]:
    """A run of two steps on the tiny model: two groups of four answers a step."""
    recipe = REPO / "train" / "recipes" / "mini_cpu.yaml"
    small = {
        "model_name_or_path": model,
        "data": pictures,
        "output_dir": out,
        "report_to": "none",
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "num_generations": 4,
        "max_completion_length": 8,
        "max_steps": 2,
        "save_steps": 1,
        "eval_strategy": "no",
        "eval_on_start": "false",
        "sheet_steps": 1,
        "held_out": "",
        "load_best_model_at_end": "false",
    }
    pairs = [part for name, value in small.items() for part in (f"--{name}", str(value))]
    return ["--config", str(recipe), *pairs, *more]


def test_a_run_goes_from_data_to_a_model_that_opens(model, pictures, tmp_path, capsys):
    out = tmp_path / "run"
    argv = arguments(model, pictures, out)
    main(argv)
    said = capsys.readouterr().out
    assert "4 rows used, 1 left out" in said and "gone.png" in said and "accuracy" in said
    for folder in (out / "model", out / "checkpoint-2"):
        Reasoner.load(folder)
        preset = preset_for_folder(folder, PRESETS["seg-zero-7b"])
        assert (preset.frame_px, preset.dialect.name, preset.max_new_tokens) == (168, "multi", 8)
        assert "--max_steps 2" in (folder / "recipe.yaml").read_text(encoding="utf-8")
    assert {path.name for path in (out / "sheets").iterdir()} == {"step-000000.html", "step-000001.html"}

    again = main([*argv, "--max_steps", "3"])
    assert f"going on after {out / 'checkpoint-2'}" in capsys.readouterr().out
    assert again.state.global_step == 3 and [e["step"] for e in again.state.log_history if "kl" in e] == [
        1,
        2,
        3,
    ]


def test_lora_is_merged_into_the_model(model, pictures, tmp_path):
    argv = arguments(model, pictures, tmp_path / "run", "--use_peft", "true", "--learning_rate", "0.01")
    main(argv)
    Reasoner.load(tmp_path / "run" / "model")
    before, after = weights(model), weights(tmp_path / "run" / "model")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and all(".layers." in name and "visual" not in name for name in moved)


def test_the_vision_tower_can_stay_as_it_is(model, pictures, tmp_path):
    argv = arguments(model, pictures, tmp_path / "run", "--freeze_vision", "true", "--max_steps", "1")
    main(argv)
    before, after = weights(model), weights(tmp_path / "run" / "model")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and not any("visual" in name for name in moved)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: value for path in folder.glob("*.safetensors") for name, value in load_file(path).items()}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_stop_and_go_on(model, pictures, tmp_path):
    """gloo on the CPU. --cpu would silently run one process; see train/README.md."""

    def launch(out: Path) -> str:
        argv = arguments(model, pictures, out, "--gradient_accumulation_steps", "1")
        launcher = (
            "--multi_gpu --num_processes 2 --num_machines 1 --main_process_port 0 "
            "--mixed_precision no --dynamo_backend no"
        )
        command = [
            sys.executable,
            "-m",
            "accelerate.commands.launch",
            *launcher.split(),
            "train/grpo.py",
            *argv,
        ]
        done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    launch(tmp_path / "whole")
    assert (tmp_path / "whole" / "checkpoint-1" / "rng_state_1.pth").exists()  # there were two
    shutil.copytree(tmp_path / "whole" / "checkpoint-1", tmp_path / "again" / "checkpoint-1")
    assert "going on after" in launch(tmp_path / "again")
    whole, again = weights(tmp_path / "whole" / "model"), weights(tmp_path / "again" / "model")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


# -------------------------------------------------------------------------------------------- what people see


def test_the_table_has_a_column_for_each_reward():
    logs = {
        "reward": 1.23456,
        "reward_std": 0.5,
        "rewards/luck/mean": 1.0,
        "rewards/luck/std": 0.1,
        "kl": None,
    }
    head, line = Console().table(7, logs)
    assert head.split() == ["step", "reward", "±", "luck", "kl"]
    assert line.split() == ["7", "1.235", "0.5", "1", "-"]


def test_the_head_of_the_table_comes_again_only_now_and_then():
    console = Console()
    assert [len(console.table(step, {"reward": 1.0, "reward_std": 0.0})) for step in range(21)] == [
        2,
        *[1] * 19,
        2,
    ]


def test_a_sheet_shows_boxes_and_spells_out_what_is_no_markup(tmp_path):
    row = make_rows(tmp_path, 1)[0]
    wrote = '<think><script>x</script></think><answer>[{"bbox_2d": [1,2,30,40], "point_2d": [5,6]}]</answer>'
    page = sheet("Answers", [Rollout(row, wrote, {"luck": 0.5, "mask_iou": float("nan")})])
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert '<rect x="1.0" y="2.0" width="29.0" height="38.0"' in page
    assert "<h2>the red umbrella</h2>" in page and "<td>0.50</td><td></td>" in page
