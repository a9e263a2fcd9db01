"""What a GRPO run is told: a recipe's fields, and above them the command line's.

    run, args, model, recipe = read_arguments(["--config", "train/recipes/mini_cpu.yaml", "--beta", "0.01"])

The fields are RunConfig's, TRL's GRPOConfig's and TRL's ModelConfig's.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import yaml
from transformers.integrations import get_available_reporting_integrations
from trl import GRPOConfig, ModelConfig, TrlParser

from segzero.contract import PRESETS
from train.rewards import RECIPES

DEFAULT_RECIPE = Path(__file__).resolve().parent / "recipes" / "mini_cpu.yaml"


@dataclass
class RunConfig:
    """What a run is about, apart from how GRPO is done."""

    preset: str = field(
        default="mini",
        metadata={"help": "whose frame, dialect and segmenter: " + ", ".join(PRESETS)},
    )
    data: str = field(default="scenes", metadata={"help": "scenes, a folder, a JSONL file or a Hub id"})
    split: str = field(default="train", metadata={"help": "the data's split"})
    rows: int | None = field(default=None, metadata={"help": "only the first so many rows"})
    held_out: str | None = field(default=None, metadata={"help": "data with masks to validate on, as --data"})
    held_out_split: str = field(default="test", metadata={"help": "its split"})
    held_out_rows: int | None = field(default=None, metadata={"help": "only its first so many rows"})
    rewards: str = field(default="segzero", metadata={"help": "one of " + ", ".join(RECIPES)})
    reward_masks: bool = field(default=False, metadata={"help": "pay for the masks that SAM makes, too"})
    freeze_vision: bool = field(default=False, metadata={"help": "leave the vision tower as it is"})
    max_prompt_length: int = field(
        default=1300, metadata={"help": "rows whose prompt, picture included, has more tokens are left out"}
    )
    resample_rounds: int = field(
        default=0, metadata={"help": "replace groups that were all paid the same, so often at most"}
    )
    sheet_steps: int = field(
        default=0, metadata={"help": "a contact sheet of the answers every so many steps"}
    )


def read_arguments(argv: list[str]) -> tuple[RunConfig, GRPOConfig, ModelConfig, str]:
    """The command line's fields over the recipe's, and the recipe's text with that command line on top.

    Raises SystemExit, with one line, for what is no recipe, no field, or no value that a run could have.
    """
    command = f"# train/grpo.py {shlex.join(argv)}"
    if "--config" not in argv:
        argv = ["--config", str(DEFAULT_RECIPE), *argv]
    if argv[-1] == "--config":
        raise SystemExit("--config wants a recipe: a YAML file such as those of train/recipes")
    parser = TrlParser((RunConfig, GRPOConfig, ModelConfig))
    parser.set_defaults(report_to="trackio" if find_spec("trackio") else "none")
    # TRL turns it on under a name that transformers will drop; a recipe says activation_checkpointing.
    parser.set_defaults(gradient_checkpointing=None)
    recipe = Path(argv[argv.index("--config") + 1])
    try:
        text = recipe.read_text(encoding="utf-8")
        run, args, model = parser.parse_args_and_config(argv)
    except (OSError, ValueError, ImportError, yaml.YAMLError) as error:  # ImportError: DeepSpeed, for one
        raise SystemExit(f"{recipe.name} and the command line make no run: {in_one_line(error)}") from error
    check(run, args)
    return run, args, model, f"{command.rstrip()}\n{text}"


def check(run: RunConfig, args: GRPOConfig) -> None:
    """Make the output_dir; raise SystemExit for what would else fail late, or in another program's words."""
    for name, known in (("preset", PRESETS), ("rewards", RECIPES)):
        if getattr(run, name) not in known:
            raise SystemExit(f"--{name} is one of {', '.join(known)}, not {getattr(run, name)}")
    for name in ("rows", "held_out_rows"):
        value = getattr(run, name)
        if value is not None and value < 1:
            raise SystemExit(f"--{name} is at least 1, not {value}")
    if (args.eval_strategy != "no" or args.eval_on_start) and not run.held_out:
        raise SystemExit("--eval_strategy and --eval_on_start want --held_out, the data to validate on")
    for tracker in args.report_to:
        if tracker not in get_available_reporting_integrations():
            raise SystemExit(
                f"--report_to {tracker}: no tracker that is installed here; install it, or take none"
            )
    if args.use_liger_kernel and not find_spec("liger_kernel"):
        raise SystemExit("--use_liger_kernel wants a package that is not here: pip install liger-kernel")
    checkpoint = args.resume_from_checkpoint
    if checkpoint and not (Path(checkpoint) / "trainer_state.json").is_file():
        raise SystemExit(f"--resume_from_checkpoint {checkpoint}: no whole checkpoint, it has no state")
    try:
        Path(args.output_dir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"--output_dir {args.output_dir} cannot be written: {error.strerror}") from error


def in_one_line(error: BaseException) -> str:
    """An error's message without its line breaks, at most 300 characters."""
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= 300 else said[:299] + "…"
