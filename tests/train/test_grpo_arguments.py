"""What a GRPO run is told: the recipes, the command line above them, accelerate's files, and what is refused.

python -m pytest -q tests/train/test_grpo_arguments.py
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser

from segzero.contract import PRESETS
from segzero.data import DatasetError
from train import arguments, grpo
from train.arguments import read_arguments

REPO = Path(__file__).resolve().parents[2]
RECIPES = sorted((REPO / "train" / "recipes").glob("*.yaml"))
CPU = ["--use_cpu", "true", "--bf16", "false", "--activation_checkpointing", "false", "--report_to", "none"]

PUBLISHED = {
    "num_generations": 8,
    "temperature": 1.0,
    "use_bias_correction_kl": False,
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
        preset.frame.frame_px // 28
    ) ** 2
    assert args.per_device_train_batch_size == args.num_generations  # a micro-batch is a group
    assert text.startswith("# train/grpo.py --config") and text.endswith(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "beta", "length", "rewards", "dialect", "answers"),
    [
        ("seg_zero_3b", 5e-3, 1300, "seg_zero", "single", 1),
        ("seg_zero_7b", 5e-3, 1300, "seg_zero", "single", 1),
        ("visionreasoner_7b", 1e-2, 2000, "vision_reasoner", "multi", 16),
    ],
)
def test_a_published_recipe_has_the_published_values(name, beta, length, rewards, dialect, answers, tmp_path):
    path = REPO / "train" / "recipes" / f"{name}.yaml"
    run, args, model, _ = read_arguments(["--config", str(path), "--output_dir", str(tmp_path), *CPU])
    assert {key: getattr(args, key) for key in PUBLISHED} == PUBLISHED
    assert (args.beta, args.max_completion_length, run.rewards) == (beta, length, rewards)
    assert run.loss_answers == answers  # of a micro-batch in the scripts
    assert (PRESETS[run.preset].dialect.name, PRESETS[run.preset].frame.frame_px) == (dialect, 840)
    assert 8 * args.per_device_train_batch_size * args.gradient_accumulation_steps == 16 * 8  # on 8 GPUs
    assert model.dtype == "float32" and not model.use_peft and "Qwen2.5-VL" in model.model_name_or_path


def test_the_command_line_goes_above_the_recipe(tmp_path):
    run, args, _, text = read_arguments(["--beta", "0.5", "--rows", "3", "--output_dir", str(tmp_path)])
    assert (run.preset, run.data, run.rows, args.beta) == ("mini", "scenes", 3, 0.5)
    assert text.startswith("# train/grpo.py --beta 0.5 --rows 3 --output_dir")


@pytest.mark.parametrize("argv", [["--rewards", "gold"], ["--preset", "maxi"]])
def test_a_name_that_is_none_ends_in_one_line(argv: list[str], tmp_path):
    with pytest.raises(SystemExit, match=f"^{argv[0]} is one of .*, not {argv[1]}$"):
        read_arguments(["--output_dir", str(tmp_path), *argv])


def refusal(argv: list[str]) -> str:
    """The one line that a run which cannot be ends in."""
    with pytest.raises(SystemExit) as error:
        read_arguments(argv)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--rows", "0"], "--rows is at least 1, not 0"),
        (["--held_out_rows", "-3"], "--held_out_rows is at least 1, not -3"),
        (["--held_out", ""], "--eval_strategy and --eval_on_start want --held_out, the data to validate on"),
        (["--report_to", "nonsense"], "nonsense is not supported|no tracker"),
        (["--use_liger_kernel", "true"], "pip install liger-kernel"),
        (["--resume_from_checkpoint", "gone"], "gone: no whole checkpoint"),
        (["--loss_answers", "5"], "divides the answers of a step in a process, .* which are 64"),
        (["--loss_answers", "-1"], "divides the answers of a step"),
        (["--loss_answers", "1"], "a loss of its own, without loss_type grpo"),
        (["--lerning_rate", "1"], "not used .*--lerning_rate"),
        (["--row", "1"], "not used .*--row"),
        (["--rows", "many"], "--rows: invalid int value: 'many'"),
        (
            ["--per_device_train_batch_size", "3", "--gradient_accumulation_steps", "1"],
            "must be divisible by num_generations",
        ),
        (["--deepspeed", "gone.json"], "make no run: "),
        (["--config"], "--config wants a recipe"),
        (["--config", "gone.yaml"], "gone.yaml and the command line make no run: .*No such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_no_run_can_be_made_of_ends_in_one_line(given: list[str], said: str, tmp_path):
    assert re.search(said, refusal(["--output_dir", str(tmp_path), *given]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1\nb", "while parsing"),
        ("- 1\n", "must contain a YAML mapping"),
        ("use_cpu: true\nbf16: false\nlerning_rate: 1\n", "unknown field 'lerning_rate'"),
    ],
    ids=["no YAML", "a list", "an unknown field"],
)
def test_a_file_that_is_no_recipe_ends_in_one_line(text: str, said: str, tmp_path):
    (tmp_path / "mine.yaml").write_text(text)
    assert re.search(said, refusal(["--config", str(tmp_path / "mine.yaml"), "--output_dir", str(tmp_path)]))


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("beta: abc", "--beta: invalid float value: 'abc'"),
        ("beta: [1]", "--beta: invalid float value"),
        ("beta:", "beta has no value"),
        ("rows: 1.5", "--rows: invalid int value: '1.5'"),
        ("rows: true", "--rows: invalid int value"),
        ("rows: {a: 1}", "--rows: invalid int value"),
        ("row: 5", "unknown field 'row'"),  # no abbreviation of rows
        ("5: 5", "unknown field 5"),
        ("use_peft: 3", "--use_peft.*Truthy value expected"),
        ("reward_weights: [1, x]", "--reward_weights.*invalid float value: 'x'"),
        ("lr_scheduler_kwargs: [1]", "--lr_scheduler_kwargs is a mapping"),
        ("num_generations: 0", "make no run"),
        ("trust_remote_code: true", "no code that comes with a model is run here"),
        ("model_init_kwargs: {trust_remote_code: true}", "no code that comes with a model is run here"),
        ("env: {SEGZERO_TEST: '1'}", "sets no environment variables"),
        ("env: [1]", "sets no environment variables"),
    ],
)
def test_a_field_that_no_run_can_have_ends_in_one_line(field: str, said: str, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("use_cpu: true\nbf16: false\nactivation_checkpointing: false\n" + field)
    assert re.search(said, refusal(["--config", str(recipe), "--output_dir", str(tmp_path)]))
    assert "SEGZERO_TEST" not in os.environ


def test_a_field_of_the_right_type_is_read_however_yaml_writes_it(tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "use_cpu: true\nbf16: false\nactivation_checkpointing: false\nreport_to: [none]\n"
        "learning_rate: 1e-6\nsave_strategy: no\nsave_total_limit:\nreward_weights: [1, 0.5]\n"
        "lora_target_modules: [q_proj]\nmodel_init_kwargs: {a: 1}\nrows: 7\n"
    )
    run, args, model, _ = read_arguments([f"--config={recipe}", "--output_dir", str(tmp_path)])
    assert (args.learning_rate, args.save_strategy, args.save_total_limit) == (1e-6, "no", None)
    assert (args.reward_weights, args.model_init_kwargs, args.report_to) == ([1.0, 0.5], {"a": 1}, [])
    assert (run.rows, model.lora_target_modules) == (7, "q_proj")  # TRL's own reading of a list of one


def test_an_output_dir_that_is_a_file_ends_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    assert "file cannot be written: " in refusal(["--output_dir", str(tmp_path / "file")])


@pytest.mark.parametrize("tracker", ["wandb", "tensorboard", "trackio"])
def test_a_tracker_is_taken_where_it_is_installed(tracker: str, tmp_path, monkeypatch):
    argv = ["--output_dir", str(tmp_path), "--report_to", tracker]
    monkeypatch.setattr(arguments, "get_available_reporting_integrations", lambda: [tracker])
    assert read_arguments(argv)[1].report_to == [tracker]
    monkeypatch.setattr(arguments, "get_available_reporting_integrations", list)
    assert (
        refusal(argv) == f"--report_to {tracker}: no tracker that is installed here; install it, or take none"
    )


@pytest.mark.parametrize(("installed", "taken"), [(object(), ["trackio"]), (None, [])])
def test_trackio_keeps_the_curves_where_it_is_installed(installed, taken: list[str], tmp_path, monkeypatch):
    monkeypatch.setattr(arguments, "find_spec", lambda name: installed)
    monkeypatch.setattr(arguments, "get_available_reporting_integrations", lambda: ["trackio"])
    assert read_arguments(["--output_dir", str(tmp_path)])[1].report_to == taken


# ----------------------------------------------------------------------------------------- accelerate's files


@pytest.mark.parametrize(
    ("name", "kind", "machines", "processes", "stage"),
    [
        ("one_gpu", "NO", 1, 1, None),
        ("ddp", "MULTI_GPU", 1, 8, None),
        ("zero2", "DEEPSPEED", 1, 8, 2),
        ("zero3", "DEEPSPEED", 1, 8, 3),
        ("fsdp2", "FSDP", 1, 8, None),
        ("nodes", "DEEPSPEED", 2, 16, 3),
    ],
)
def test_accelerate_reads_its_files(name: str, kind: str, machines: int, processes: int, stage: int | None):
    config = load_config_from_file(str(REPO / "train" / "accelerate" / f"{name}.yaml"))
    assert (config.distributed_type.value, config.num_machines, config.num_processes) == (
        kind,
        machines,
        processes,
    )
    assert config.deepspeed_config.get("zero_stage") == stage and config.mixed_precision == "bf16"
    options = vars(launch_command_parser().parse_args(["train/grpo.py"]))
    assert {*config.fsdp_config, *config.deepspeed_config} <= options.keys()


def test_held_out_scenes_are_not_those_that_are_trained_on(tmp_path, monkeypatch):
    """The same split may be named for both: it is the seed that tells the scenes apart."""
    asked = []

    def load(source, preset, *, rows, seed, split, fits):
        asked.append((split, seed))
        if len(asked) == 2:
            raise DatasetError("enough")
        return [], ""

    monkeypatch.setattr(grpo, "load", load)
    with pytest.raises(DatasetError, match="enough"):
        grpo.main(["--output_dir", str(tmp_path), "--held_out_split", "train", "--data_seed", "7", *CPU])
    assert asked == [("train", 7), ("train", 8)]
