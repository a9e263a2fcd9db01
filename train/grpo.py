"""Train a reasoner with GRPO: a recipe, its data and rewards, TRL's trainer, a checkpoint the app opens.

    accelerate launch train/grpo.py                                              # the mini, on any CPU
    accelerate launch --config_file train/accelerate/zero3.yaml \\
        train/grpo.py --config train/recipes/seg_zero_7b.yaml                    # the paper's run, 8 GPUs
    accelerate launch train/grpo.py --config train/recipes/lora_7b_1x24gb.yaml --data corrections/
    accelerate launch train/grpo.py --learning_rate 2e-5 --output_dir runs/fast  # any field, on any recipe
    python app.py --reasoner runs/grpo-mini/model                                # what came of it

The same command again goes on after the last whole checkpoint of its output_dir. train/README.md has the
recipes side by side, several GPUs and machines, and generation by vLLM.

A recipe is YAML over the fields of train/arguments.py, TRL's GRPOConfig and TRL's ModelConfig. seg_zero_3b,
seg_zero_7b and visionreasoner_7b have the published values: 16 prompts of 8 answers a step, one epoch,
constant 1e-6, weight decay 1e-2, KL 5e-3 (multi-object 1e-2), entropy 1e-3, clip 0.2, temperature 1, and the
published loss (loss_answers; train/published_loss.py): policy, entropy and KL, at most 10 a token, as one
mean over the tokens of a micro-batch. That had one answer in the single-object scripts; in the multi-object
ones 16 (eight GPUs of 140 GB, which the recipe has), 2 (four of 80 GB) or 1 (eight of 46 GB). The recipes
deviate in these:

  data         refCOCOg_9k_840 and VisionReasoner_multi_object_7k_840, as in the papers; the scripts that were
               released name refCOCOg_2k_840 and VisionReasoner_multi_object_1k_840.
  questions    In lower case and without full stops at both ends, as there, but also without white space
               around them; there it stays, and so does a full stop in front of it.
  prompts      No line break between picture and text, as in the first release, for every dialect: training,
               app and evaluation send the same tokens.
  precision    fp32 weights under bf16 autocast, in generation as well; there a bf16 copy in vLLM generates.
  rewards      Letter for letter in these recipes; "segzero", elsewhere the default, is the project's own.
  checkpoints  The best by gIoU on a held-out set is kept, where one is given; there, a checkpoint was chosen.

Answers have at most 1,300 tokens in training, 2,000 with several objects. In evaluation, the first
repository lets them have 1,024, the second (VisionReasoner) 2,048; a model that was trained here is asked
with the number of its training, which its segzero.json has.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

if not __package__:  # run as a file: Python then looks for modules beside it, not in the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's threads would wait by spinning: on cores that
# others use as well, small models then take tens of times as long

import train  # noqa: F401  # first of all: what it sets, the libraries read when they are imported

# isort: split
import torch
from peft import PeftModel
from PIL import Image
from transformers import AutoConfig, PrinterCallback, ProgressCallback
from trl import get_peft_config, get_quantization_config

from segzero.contract import PRESETS, Frame
from segzero.data import DatasetError
from segzero.hub import ModelError, model_folder
from segzero.reasoner import PromptEncoder, load_model, load_processor
from segzero.segmenter import Segmenter
from segzero.weights import named, reading
from train.arguments import in_one_line, read_arguments
from train.checkpoints import CheckpointError, resume_point
from train.console import Console
from train.data import load
from train.resampling import ResamplingTrainer
from train.rewards import RECIPES, Reward, mask_reward
from train.sheet import ContactSheets
from train.trainer import Trainer

LARGEST_WH = (4096, 4096)  # of a picture in its own shape, that has the most tokens
LANGUAGE_LAYERS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
"""Where LoRA goes by default: "all-linear" would adapt the vision tower as well."""


def main(argv: list[str] | None = None, rewards: Sequence[Reward] | None = None) -> Trainer:
    """Train as the command line says. Returns the trainer, for whoever calls this from a program.

    rewards: reward functions in place of those that --rewards names.
    """
    run, args, model, recipe = read_arguments(sys.argv[1:] if argv is None else argv)
    own = argv is None  # whoever calls this from a program has as many threads as it wants
    if own and args.use_cpu and os.environ.get("OMP_NUM_THREADS", "1") == "1":  # accelerate sets it unasked
        torch.set_num_threads(max(1, usable_cpus() // args.world_size))
    preset = PRESETS[run.preset]
    weights = model.model_name_or_path or preset.reasoner
    with args.main_process_first(desc="finding the model"):
        folder = model_folder(weights)
    advice = "Name a folder with a whole model, or a Hub id"
    start = partial(named, f"{weights} cannot be trained from", advice)

    # ----------------------------------------------------------------------------------------------- data
    with start():
        if args.beta:  # TRL reads the folder once more, for what KL is measured from
            with reading("its config.json"):
                AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        processor = load_processor(folder)
        fits = prompt_fits(processor, preset.frame, run.max_prompt_length)
    processor.tokenizer.padding_side = "left"
    with args.main_process_first(desc="reading the data"):
        seed = args.data_seed or 0
        rows, report = load(run.data, preset, rows=run.rows, seed=seed, split=run.split, fits=fits)
        held_out = None
        if run.held_out:
            split = run.held_out_split  # and other scenes, even where it is the split that is trained on
            held_out, other = load(
                run.held_out, preset, rows=run.held_out_rows, seed=seed + 1, split=split, fits=fits
            )
            report = f"{report}\nheld out: {other}"
            if None in held_out["masks"]:
                raise DatasetError(f"{run.held_out} has boxes alone; held-out data is judged by its masks")
    if args.process_index == 0:
        print(report)
    prompts = args.generation_batch_size // args.num_generations
    if len(rows) < prompts:
        raise DatasetError(
            f"{run.data} has {len(rows)} usable rows, and each step answers {prompts}: bring more, or lower "
            "--gradient_accumulation_steps"
        )

    # -------------------------------------------------------------------------------------------- rewards
    rewards = list(rewards or RECIPES[run.rewards])
    masks = None
    if run.reward_masks or held_out is not None:
        masks = mask_reward(
            Segmenter.load(preset.segmenter, device="cpu" if args.use_cpu else None), preset.frame
        )
    if run.reward_masks:
        rewards.append(masks)

    # -------------------------------------------------------------------------------------------- trainer
    settings = {
        **preset.frame.settings,
        "dialect": preset.dialect.name,
        "max_new_tokens": args.max_completion_length,
    }
    quantization = get_quantization_config(model)
    # Weights are fp32 unless a recipe says otherwise: in bf16 most steps of 1e-6 round to nothing.
    precision = {
        "dtype": model.dtype,
        **({"attn_implementation": model.attn_implementation} if model.attn_implementation else {}),
        **({"quantization_config": quantization} if quantization else {}),
        **(args.model_init_kwargs or {}),
    }
    if args.ddp_find_unused_parameters is None:
        args.ddp_find_unused_parameters = False  # every prompt has a picture, so every weight is used
    if model.use_peft and model.lora_target_modules is None:
        model.lora_target_modules = LANGUAGE_LAYERS
    kind, options = Trainer, {}
    if run.resample_rounds:
        kind, options = ResamplingTrainer, {"rounds": run.resample_rounds}
    sheets = ContactSheets(Path(args.output_dir) / "sheets", run.sheet_steps)
    try:
        with start():  # TRL itself would begin with random numbers where the files lack weights
            policy = load_model(folder, **precision)
        trainer = kind(
            model=policy,
            reward_funcs=rewards,
            args=args,
            train_dataset=rows,
            eval_dataset=held_out,
            processing_class=processor,
            peft_config=get_peft_config(model),
            quantization_config=quantization,
            extras={"segzero.json": json.dumps(settings, indent=2) + "\n", "recipe.yaml": recipe},
            judge=masks,
            loss_answers=run.loss_answers,
            show=sheets if run.sheet_steps and args.process_index == 0 else None,
            **options,
        )
    except ImportError as error:  # vLLM, bitsandbytes, …: looked for when a setting asks for them
        raise SystemExit(f"train/grpo.py: what a setting wants is missing: {in_one_line(error)}") from error
    if run.freeze_vision:
        trainer.bare_model.model.visual.requires_grad_(False)
    for usual in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(usual)
    trainer.add_callback(Console())

    # ------------------------------------------------------------------------------------ training, saving
    resumed = resume_point(trainer, Path(args.output_dir), args.resume_from_checkpoint)
    if resumed and args.process_index == 0 and said_before(resumed) not in (None, recipe):
        print(f"{resumed / 'recipe.yaml'} differs; learning rate and weight decay stay as they were there")
    trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    end = Path(args.output_dir) / "model"
    save(trainer, end)
    if args.process_index == 0:
        print(summary(trainer.state), f"the model: {end}", sep="\n")
    return trainer


def usable_cpus() -> int:
    """The CPUs this process may use: all, or those that taskset or a container leaves it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def said_before(checkpoint: Path) -> str | None:
    """The recipe and command that a checkpoint was saved under, where it is there to read."""
    told = checkpoint / "recipe.yaml"
    return told.read_text(encoding="utf-8", errors="replace") if told.is_file() else None


def prompt_fits(processor, frame: Frame, most: int):
    """Whether a prompt, with a picture of the frame's size, has at most `most` tokens."""
    encoder = PromptEncoder(processor)
    picture = encoder.head(frame.show(Image.new("RGB", LARGEST_WH)))["input_ids"].shape[1]
    return lambda prompt: picture + len(encoder.tail(prompt)) <= most


def save(trainer: Trainer, folder: Path) -> None:
    """Write a model that segzero.load opens: the weights, adapters merged into them."""
    adapted = isinstance(trainer.model, PeftModel)
    if adapted and not trainer.is_deepspeed_enabled and not trainer.is_fsdp_enabled:
        trainer.model = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
    trainer.save_model(str(folder))


def summary(state) -> str:
    """The held-out metric before, after and at its best, from a run's log."""
    lines = []
    names = {name for entry in state.log_history for name in entry if name.startswith("eval_")}
    for name in sorted(names):
        values = [(entry["step"], entry[name]) for entry in state.log_history if name in entry]
        (first, before), (last, after) = values[0], values[-1]
        best, most = max(values, key=lambda value: -math.inf if math.isnan(value[1]) else value[1])
        lines.append(
            f"held out, {name.removeprefix('eval_')}: {before:.3f} at step {first}, "
            f"{after:.3f} at step {last}, at best {most:.3f} at step {best}"
            + (": no checkpoint is better than the start" if best == 0 else "")
        )
    return "\n".join(lines) or "nothing was held out"


if __name__ == "__main__":
    try:
        done = main().accelerator
    except (CheckpointError, DatasetError, ModelError) as error:
        sys.exit(f"train/grpo.py: {error}")
    # The threads of several processes' group are to end before the interpreter: one that comes back for its
    # lock while Python goes down aborts a run that is done and saved, "terminate called without an active
    # exception".
    done.wait_for_everyone()
    done.end_training()
