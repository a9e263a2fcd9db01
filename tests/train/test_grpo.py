"""The script as people launch it: a run from data to a model that opens, going on, two processes.

python -m pytest tests/train/test_grpo.py -m "not slow"
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from segzero.contract import PRESETS, preset_for_folder
from segzero.data import DatasetError
from segzero.hub import ModelError
from segzero.reasoner import Reasoner
from tests.shared.grpo_runs import make_rows
from tests.shared.tiny import save_tiny_reasoner
from train.console import Console
from train.grpo import LANGUAGE_LAYERS, main, summary, usable_cpus
from train.rewards import RECIPES
from train.sheet import sheet
from train.trainer import Rollout

REPO = Path(__file__).resolve().parents[2]


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
        "warmup_steps": 0,
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
        assert (preset.frame.frame_px, preset.dialect.name, preset.max_new_tokens) == (280, "multi", 8)
        assert "--max_steps 2" in (folder / "recipe.yaml").read_text(encoding="utf-8")
    assert {path.name for path in (out / "sheets").iterdir()} == {"step-000000.html", "step-000001.html"}

    again = main([*argv, "--max_steps", "3"])
    said = capsys.readouterr().out
    assert f"going on after {out / 'checkpoint-2'}" in said and "recipe.yaml differs" in said
    assert again.state.global_step == 3 and [e["step"] for e in again.state.log_history if "kl" in e] == [
        1,
        2,
        3,
    ]


def by_length(completions: list, **columns: object) -> list[float]:
    """A reward for answers of a model without training, which the project's own pay nothing."""
    return [float(len(str(completion)) % 7) for completion in completions]


def test_lora_is_merged_into_the_model(model, pictures, tmp_path, monkeypatch):
    monkeypatch.setitem(RECIPES, "segzero", (by_length,))
    argv = arguments(model, pictures, tmp_path / "run", "--use_peft", "true", "--learning_rate", "0.01")
    main(argv)
    merged = Reasoner.load(tmp_path / "run" / "model", device="cpu").model.state_dict()
    before, after = weights(model), weights(tmp_path / "run" / "model")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and all(".layers." in name and "visual" not in name for name in moved)
    (adapter,) = sorted((tmp_path / "run").glob("checkpoint-*"))[-1:]
    assert (adapter / "adapter_config.json").is_file()
    opened = Reasoner.load(adapter, device="cpu").model.state_dict()
    assert all(
        torch.equal(opened[name], merged[name]) for name in merged
    )  # not merged, it opens the same way


def test_the_vision_tower_can_stay_as_it_is(model, pictures, tmp_path, monkeypatch):
    monkeypatch.setitem(RECIPES, "segzero", (by_length,))
    argv = arguments(model, pictures, tmp_path / "run", "--freeze_vision", "true", "--max_steps", "1")
    main(argv)
    before, after = weights(model), weights(tmp_path / "run" / "model")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and not any("visual" in name for name in moved)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--gradient_accumulation_steps", "5"], "has 4 usable rows, and each step answers 5"),
        (["--held_out", "scenes", "--held_out_split", "nowhere"], "no split 'nowhere', only train, val"),
        (["--model_name_or_path", "./gone"], "./gone is no folder here"),
        (["--attn_implementation", "flash_attention_2"], "missing: FlashAttention2 .*not"),
    ],
    ids=["few rows", "split", "model", "package"],
)
def test_what_is_found_wrong_on_the_way_ends_in_one_line(model, pictures, tmp_path, given, said):
    with pytest.raises((DatasetError, ModelError, SystemExit), match=said) as error:
        main(arguments(model, pictures, tmp_path, *given))
    assert "\n" not in str(error.value)


def test_held_out_data_has_masks(model, pictures, tmp_path, monkeypatch):
    boxes = make_rows(tmp_path).add_column("masks", [None] * 4)
    monkeypatch.setattr("train.grpo.load", lambda *args, **kwargs: (boxes, "four rows"))
    with pytest.raises(DatasetError, match="boxes alone"):
        main(arguments(model, pictures, tmp_path / "out", "--held_out", "some/set"))


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


KILLED = """import os, signal, sys
from transformers import TrainerState
save = TrainerState.save_to_json
def save_or_die(state, path):  # the state is what a Trainer writes last
    if state.global_step == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    save(state, path)
TrainerState.save_to_json = save_or_die
from train.grpo import main
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_nothing_had_happened(model, pictures, tmp_path, capsys):
    """The kill comes while the second checkpoint is being written."""
    steps = ["--max_steps", "12", "--save_steps", "2", "--save_total_limit", "12"]
    argv = arguments(model, pictures, tmp_path / "killed", *steps)
    run = subprocess.run([sys.executable, "-c", KILLED, *argv], cwd=REPO, capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL, run.stderr[-3000:]
    assert (tmp_path / "killed" / "checkpoint-4").exists() and not (tmp_path / "killed" / "model").exists()
    assert not (tmp_path / "killed" / "checkpoint-4" / "trainer_state.json").exists()
    main(argv)
    said = capsys.readouterr().out
    assert f"passed over {tmp_path / 'killed' / 'checkpoint-4'}: trainer_state.json is missing" in said
    assert f"going on after {tmp_path / 'killed' / 'checkpoint-2'}" in said
    main(arguments(model, pictures, tmp_path / "whole", *steps))
    again, whole = weights(tmp_path / "killed" / "model"), weights(tmp_path / "whole" / "model")
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


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.3, 0.5, 0.4], "held out, gIoU: 0.300 at step 0, 0.400 at step 80, at best 0.500 at step 40"),
        (
            [0.3, 0.2],
            "held out, gIoU: 0.300 at step 0, 0.200 at step 40, at best 0.300 at step 0: "
            "no checkpoint is better than the start",
        ),
        ([], "nothing was held out"),
    ],
)
def test_a_run_ends_with_its_held_out_metric(values: list[float], said: str):
    logs = [{"step": 40 * number, "eval_gIoU": value} for number, value in enumerate(values)]
    assert summary(SimpleNamespace(log_history=[*logs, {"step": 1, "reward": 1.0}])) == said


def test_a_sheet_shows_boxes_and_spells_out_what_is_no_markup(tmp_path):
    row = make_rows(tmp_path, 1)[0]
    wrote = '<think><script>x</script></think><answer>[{"bbox_2d": [1,2,30,40], "point_2d": [5,6]}]</answer>'
    page = sheet("Answers", [Rollout(row, wrote, {"luck": 0.5, "mask_iou": float("nan")})])
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert '<rect x="1.0" y="2.0" width="29.0" height="38.0"' in page
    assert "<h2>the red umbrella</h2>" in page and "<td>0.50</td><td></td>" in page
