"""After which checkpoint a run goes on: the newest whole one of its folder, every file read before.

    resumed = resume_point(trainer, Path("runs/grpo"))
    trainer.train(resume_from_checkpoint=resumed and str(resumed))

transformers goes on without an optimizer, random numbers or weights that are not there, which changes what
comes out. Here a checkpoint counts when nothing is missing and everything can be read. One that does not is
passed over, and said to be; one of another run (another adapter, other weights) ends this one.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from peft import PeftConfig, PeftModel, get_peft_model_state_dict
from safetensors import safe_open
from transformers import Trainer, TrainerState
from transformers.trainer_pt_utils import safe_globals
from transformers.utils import logging

from segzero.hub import one_line

STATE = "trainer_state.json"
_NAME = re.compile(r"checkpoint-\d+")
_PARTS = {"optimizer.pt": ("state", "param_groups"), "scheduler.pt": ("last_epoch",)}
"""What a run in one process, or with equal ones, saves beside the weights, and what these files must hold."""
_RANDOM = ("python", "numpy", "cpu")
_NO_MATTER = ("inference_mode", "base_model_name_or_path", "revision", "peft_version", "auto_mapping")
"""Of an adapter's settings, those that change nothing."""
_ANEW = "Take another --output_dir, or the settings that it was begun with"

T = TypeVar("T")


class CheckpointError(RuntimeError):
    """A run cannot go on, in one line: after what, why not, what to do."""


class _Fault(Exception):
    """What is wrong with a checkpoint, such as "optimizer.pt is missing"."""


def numbered(folder: Path) -> list[Path]:
    """The folders checkpoint-N of a run, the newest first; no checkpoint-best of somebody else's."""
    found = [path for path in folder.glob("checkpoint-*") if _NAME.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=step_of, reverse=True)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.partition("-")[2])


def prune(folder: Path, limit: int | None, keep: set[Path]) -> None:
    """Delete the oldest numbered checkpoints until `limit` are left, but none of `keep`."""
    found = numbered(folder)
    if not limit or limit < 1:
        return
    for checkpoint in reversed(found):
        if len(found) <= max(limit, len(keep)):
            return
        if checkpoint not in keep:
            shutil.rmtree(checkpoint, ignore_errors=True)
            found.remove(checkpoint)


def resume_point(trainer: Trainer, folder: Path, named: str | None = None) -> Path | None:
    """The checkpoint to go on after; None where there is no whole one, and the run begins at its start.

    named: the one that the user wants, wherever it lies. Prints, in the first process, what is passed over.
    Raises CheckpointError for a named one that is not whole, and for one of another run.
    """
    say: Callable[[str], None] = print if trainer.args.process_index == 0 else lambda text: None
    checkpoints = [Path(named)] if named else numbered(folder)
    for checkpoint in checkpoints:
        try:
            check(trainer, checkpoint)
        except _Fault as fault:
            if named:
                raise CheckpointError(f"{checkpoint} is no whole checkpoint: {fault}.") from fault
            say(f"passed over {checkpoint}: {fault}")
            continue
        say(f"going on after {checkpoint}; another --output_dir starts anew")
        return checkpoint
    if checkpoints:
        say(f"no checkpoint in {folder} is whole: starting anew")
    return None


def check(trainer: Trainer, checkpoint: Path) -> None:
    """Raise _Fault for what is missing or damaged, CheckpointError for what is of another run."""
    state = _state(checkpoint)
    adapted = isinstance(trainer.model, PeftModel)
    _check_kind(trainer, checkpoint, adapted)
    for path in sorted(checkpoint.rglob("*")):
        if path.suffix in (".pt", ".pth", ".bin") and path.name != "training_args.bin":
            _read(path, _check_zip)
    _check_random_numbers(trainer, checkpoint)
    if not (trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled):
        _check_parts(trainer, checkpoint)
        _check_weights(trainer, checkpoint, adapted)
    elif trainer.is_deepspeed_enabled:
        latest = _read(checkpoint / "latest", lambda path: path.read_text().strip())
        if not any((checkpoint / latest).glob("*")):
            raise _Fault(f"{latest} is missing")
    if trainer.args.load_best_model_at_end and state.best_model_checkpoint:
        _check_best(trainer, checkpoint, best_of(state, checkpoint.parent), adapted)


def best_of(state: TrainerState, folder: Path) -> Path:
    """Where the best checkpoint lies, even when the run's folder was moved."""
    best = Path(state.best_model_checkpoint)
    return best if best.is_dir() else folder / best.name


def _state(checkpoint: Path) -> TrainerState:
    def read(path: Path) -> TrainerState:
        return TrainerState(**json.loads(path.read_text(encoding="utf-8")))

    state = _read(checkpoint / STATE, read)
    if not isinstance(state.global_step, int) or not isinstance(state.log_history, list):
        raise _Fault(f"{STATE} is damaged")
    if _NAME.fullmatch(checkpoint.name) and state.global_step != step_of(checkpoint):
        raise _Fault(f"{STATE} is that of step {state.global_step}")
    return state


def _check_kind(trainer: Trainer, checkpoint: Path, adapted: bool) -> None:
    """Raise CheckpointError where one is LoRA's and the other is not, or LoRA is set otherwise."""
    was = any(checkpoint.glob("adapter_*"))
    if was != adapted and (was or any(checkpoint.glob("model*.safetensors"))):
        kinds = ("all weights", "LoRA")
        raise CheckpointError(
            f"{checkpoint} trained {kinds[was]}, this run trains {kinds[adapted]}. {_ANEW}."
        )
    if adapted:
        before = _read(
            checkpoint / "adapter_config.json", lambda path: PeftConfig.from_pretrained(path.parent)
        )
        now = trainer.model.peft_config[trainer.model.active_adapter]
        old, new = (_plain(config.to_dict()) for config in (before, now))
        other = [name for name in new if name not in _NO_MATTER and old.get(name) != new[name]]
        if other:
            told = ", ".join(f"{name} {old.get(name)}, now {new[name]}" for name in other)
            raise CheckpointError(f"{checkpoint} has an adapter with {told}. {_ANEW}.")


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: sorted(value) if isinstance(value, (set, list)) else value for name, value in settings.items()
    }


def _check_random_numbers(trainer: Trainer, checkpoint: Path) -> None:
    def names(processes: int) -> set[str]:
        return (
            {f"rng_state_{index}.pth" for index in range(processes)} if processes > 1 else {"rng_state.pth"}
        )

    size, saved = trainer.args.world_size, {path.name for path in checkpoint.glob("rng_state*.pth")}
    if saved != names(size) and saved == names(len(saved)):
        raise CheckpointError(
            f"{checkpoint} was saved by another number of processes, {len(saved)}, than this run's, {size}. "
            f"Start as many, or a run from its weights: --model_name_or_path {checkpoint} --output_dir …"
        )
    with safe_globals():
        for name in sorted(names(size)):
            _holds(_read(checkpoint / name, _load), name, _RANDOM)


def _check_parts(trainer: Trainer, checkpoint: Path) -> None:
    for name, keys in _PARTS.items():
        _holds(_read(checkpoint / name, _load), name, keys)
    if trainer.args.fp16:
        _read(checkpoint / "scaler.pt", _load)
    groups = _load(checkpoint / "optimizer.pt")["param_groups"]
    before = sum(len(group["params"]) for group in groups)
    now = sum(parameter.requires_grad for parameter in trainer.model.parameters())
    if before != now:
        raise CheckpointError(f"{checkpoint} trained {before} tensors, this run trains {now}. {_ANEW}.")
    kind, options = trainer.get_optimizer_cls_and_kwargs(trainer.args, trainer.model)
    (fresh,) = kind([torch.zeros(1, requires_grad=True)], **options).param_groups
    if any(group.keys() - {"initial_lr"} != fresh.keys() for group in groups):
        raise CheckpointError(
            f"{checkpoint} has the state of another optimizer than {kind.__name__}. {_ANEW}."
        )


def _check_weights(trainer: Trainer, checkpoint: Path, adapted: bool) -> None:
    """The names and shapes of the saved tensors are those of the model."""
    if adapted:
        expected = {
            name: list(value.shape) for name, value in get_peft_model_state_dict(trainer.model).items()
        }
        saved = _read(checkpoint / "adapter_model.safetensors", _shapes)
        missing = [name for name in expected if name not in saved]
        other = [name for name in saved if name in expected and saved[name] != expected[name]]
    else:
        missing, other = _missing_and_other(trainer, checkpoint)
    if missing:
        raise _Fault(f"{missing[0]} is missing among its weights ({len(missing)} of them)")
    if other:
        raise CheckpointError(f"{checkpoint} has weights of another size, {other[0]} for one. {_ANEW}.")


def _missing_and_other(trainer: Trainer, checkpoint: Path) -> tuple[list[str], list[str]]:
    about = _read(checkpoint / "config.json", lambda path: json.loads(path.read_text(encoding="utf-8")))
    config = trainer.model.config
    if not isinstance(about, Mapping) or "model_type" not in about:
        raise _Fault("config.json is damaged")
    if about["model_type"] != config.model_type:
        raise CheckpointError(f"{checkpoint} is a {about['model_type']}, not {config.model_type}. {_ANEW}.")
    index = checkpoint / "model.safetensors.index.json"
    files = [checkpoint / "model.safetensors"]
    if index.exists():
        names = _read(index, lambda path: json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
        files = [checkpoint / name for name in sorted(set(names))]
    for path in files:
        _read(path, _shapes)
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:  # on no device: only names and shapes are compared
        _, told = type(trainer.model).from_pretrained(
            checkpoint,
            config=config,
            device_map="meta",
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar() if bars else None
    return sorted(told["missing_keys"]), sorted(name for name, *_ in told["mismatched_keys"])


def _check_best(trainer: Trainer, checkpoint: Path, best: Path, adapted: bool) -> None:
    try:
        _check_weights(trainer, best, adapted)
    except _Fault as fault:
        raise CheckpointError(
            f"{checkpoint} cannot end in the best checkpoint, {best}: {fault}. Put it back, or go on with "
            "--load_best_model_at_end false."
        ) from fault


def _holds(value: object, name: str, keys: tuple[str, ...]) -> None:
    if not isinstance(value, Mapping) or not value.keys() >= set(keys):
        raise _Fault(f"{name} holds something else")


def _read(path: Path, read: Callable[[Path], T]) -> T:
    """What is in a file. Raises _Fault, whatever it is that cannot be read: `read` is the libraries' own."""
    if not path.exists():
        raise _Fault(f"{path.name} is missing")
    try:
        return read(path)
    except Exception as error:
        raise _Fault(f"{path.name} is damaged ({one_line(error)})") from error


def _check_zip(path: Path) -> None:
    """As torch saves: a zip, whose parts have check sums."""
    with zipfile.ZipFile(path) as archive:
        if bad := archive.testzip():
            raise zipfile.BadZipFile(f"{bad} has another check sum")


def _load(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _shapes(path: Path) -> dict[str, list[int]]:
    with safe_open(path, "pt") as file:
        return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
