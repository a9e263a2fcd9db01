"""What a GRPO run is told: a recipe's fields, and above them the command line's.

    run, args, model, recipe = read_arguments(["--config", "train/recipes/mini_cpu.yaml", "--beta", "0.01"])

The fields are RunConfig's, TRL's GRPOConfig's and TRL's ModelConfig's.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn, get_args, get_type_hints

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
    loss_answers: int = field(
        default=0,
        metadata={
            "help": "the published loss in place of loss_type: a mean over the tokens of so many answers, as "
            "many as a micro-batch had there"
        },
    )
    resample_rounds: int = field(
        default=0, metadata={"help": "replace groups that were all paid the same, so often at most"}
    )
    sheet_steps: int = field(
        default=0, metadata={"help": "a contact sheet of the answers every so many steps"}
    )


_PUBLISHED = {
    "loss_type": "dapo",  # TRL's default, which is to say, not given
    "scale_rewards": "group",
    "importance_sampling_level": "token",
    "use_bias_correction_kl": False,
    "delta": None,
    "top_entropy_quantile": 1.0,
    "off_policy_mask_threshold": None,
    "use_liger_kernel": False,
}
"""What the published loss leaves no choice in."""
_CONFIGS = (RunConfig, GRPOConfig, ModelConfig)


def read_arguments(argv: list[str]) -> tuple[RunConfig, GRPOConfig, ModelConfig, str]:
    """The command line's fields over the recipe's, and the recipe's text with that command line on top.

    Raises SystemExit, with one line, for what is no recipe, no field, or no value that a run could have.
    """
    command = f"# train/grpo.py {shlex.join(argv)}"
    recipe, given = _recipe_and_fields(argv)
    # No abbreviations: a recipe's misspelt field would be taken for the one that it begins.
    parser = TrlParser(_CONFIGS, allow_abbrev=False)
    parser.error = _refuse
    parser.set_defaults(report_to="trackio" if find_spec("trackio") else "none")
    # TRL turns it on under a name that transformers will drop; a recipe says activation_checkpointing.
    parser.set_defaults(gradient_checkpointing=None)
    try:
        text = recipe.read_text(encoding="utf-8")
        written = _as_options(yaml.safe_load(text), parser)
        run, args, model = parser.parse_args_into_dataclasses([*written, *given], look_for_args_file=False)
    # ImportError: DeepSpeed, for one. The others: what TRL and transformers divide, compare and look up.
    except (OSError, ValueError, TypeError, ArithmeticError, ImportError, yaml.YAMLError) as error:
        raise SystemExit(f"{recipe.name} and the command line make no run: {in_one_line(error)}") from error
    check(run, args)
    return run, args, model, f"{command.rstrip()}\n{text}"


def _recipe_and_fields(argv: list[str]) -> tuple[Path, list[str]]:
    """The recipe that --config names, or the default one, and the command line without it."""
    given = [
        part for text in argv for part in (text.split("=", 1) if text.startswith("--config=") else [text])
    ]
    if "--config" not in given:
        return DEFAULT_RECIPE, given
    at = given.index("--config")
    if at + 1 == len(given):
        raise SystemExit("--config wants a recipe: a YAML file such as those of train/recipes")
    return Path(given[at + 1]), [*given[:at], *given[at + 2 :]]


def _as_options(recipe: object, parser: TrlParser) -> list[str]:
    """A recipe's fields as the command line would have them, so that both are checked by the same rules.

    What an option cannot say, such as a null, becomes its default. Raises ValueError.
    """
    if not isinstance(recipe, Mapping):
        raise ValueError("a recipe must contain a YAML mapping: lines such as `beta: 5.0e-3`")
    if "env" in recipe:
        raise ValueError(
            "a recipe sets no environment variables; write them before the command, not in `env:`"
        )
    actions = {action.dest: action for action in parser._actions}
    hints = {name: hint for config in _CONFIGS for name, hint in get_type_hints(config).items()}
    options = []
    for name, value in recipe.items():
        if name not in actions:
            raise ValueError(f"unknown field {name!r}")
        kinds = {hints[name], *get_args(hints[name])} if name in hints else set()
        if value is None and type(None) not in kinds:
            raise ValueError(f"{name} has no value")
        if value is None or (isinstance(value, list) and _takes_list(kinds) and not actions[name].nargs):
            parser.set_defaults(**{name: value})
        elif isinstance(value, list) and actions[name].nargs in ("+", "*"):
            options += [f"--{name}", *map(str, value)]
        else:
            if value is False and "no" in (actions[name].choices or ()):
                value = "no"  # as it was written: to YAML it is a truth value
            plain = isinstance(value, (str, int, float))
            options.append(f"--{name}={value if plain else json.dumps(value, default=str)}")
    return options


def _takes_list(kinds: set[Any]) -> bool:
    return any(kind is list or getattr(kind, "__origin__", None) is list for kind in kinds)


def _refuse(message: str) -> NoReturn:
    """In place of argparse's usage, which is hundreds of lines here."""
    raise ValueError(message)


def check(run: RunConfig, args: GRPOConfig) -> None:
    """Make the output_dir; raise SystemExit for what would else fail late, or in another program's words."""
    for name, known in (("preset", PRESETS), ("rewards", RECIPES)):
        if getattr(run, name) not in known:
            raise SystemExit(f"--{name} is one of {', '.join(known)}, not {getattr(run, name)}")
    for name in ("rows", "held_out_rows"):
        value = getattr(run, name)
        if value is not None and value < 1:
            raise SystemExit(f"--{name} is at least 1, not {value}")
    _check_loss(run, args)
    if (args.eval_strategy != "no" or args.eval_on_start) and not run.held_out:
        raise SystemExit("--eval_strategy and --eval_on_start want --held_out, the data to validate on")
    for name, value in vars(args).items():
        if name.endswith("_kwargs") and not isinstance(value, (dict, type(None))):
            raise SystemExit(f"--{name} is a mapping such as '{{\"name\": 1}}', not {value}")
    if args.trust_remote_code or (args.model_init_kwargs or {}).get("trust_remote_code"):
        raise SystemExit("--trust_remote_code: no code that comes with a model is run here; leave it out")
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


def _check_loss(run: RunConfig, args: GRPOConfig) -> None:
    """Raise SystemExit for a published loss that cannot be, or that other settings would change."""
    if not run.loss_answers:
        return
    answers = args.per_device_train_batch_size * args.gradient_accumulation_steps
    if run.loss_answers < 0 or answers % run.loss_answers:
        raise SystemExit(
            f"--loss_answers {run.loss_answers} divides the answers of a step in a process, "
            f"per_device_train_batch_size x gradient_accumulation_steps, which are {answers}"
        )
    for name, only in _PUBLISHED.items():
        if getattr(args, name) != only:
            raise SystemExit(
                f"--loss_answers is a loss of its own, without {name} {getattr(args, name)}: leave that out, "
                "or take --loss_answers 0"
            )


def in_one_line(error: BaseException) -> str:
    """An error's message without its line breaks, at most 300 characters."""
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= 300 else said[:299] + "…"
