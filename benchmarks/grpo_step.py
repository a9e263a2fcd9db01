"""GRPO steps by TRL's GRPOTrainer and by ours, on the same seed: the same numbers, and what they cost.

    python benchmarks/grpo_step.py                        # a random model of some 17 M parameters, on the CPU
    python benchmarks/grpo_step.py --shape 3b --out benchmarks/results/grpo_step_3b.json    # wants a GPU

Each trainer runs in a process of its own, one after the other, so that peak memory is its own. Both see the
same composed scenes; GRPOTrainer gets them as its users have them, decoded at each look at a row. Its shuffle
of answers over micro-batches is held still, so that both sum the same answers in the same micro-batches.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

if not __package__:  # run as a file: Python then looks for modules beside it, not in the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, TrainerCallback

from segzero.contract import PRESETS, Frame
from segzero.pictures import load_picture
from segzero.reasoner import load_processor
from train.mini.learning.model import build_model

GROUP = 8
STEPS = 2


@dataclass(frozen=True)
class Shape:
    """A model, and the length of what goes through it.

    frame_px: the picture's side, (side / 28)² tokens. answer: tokens of every answer. prompts: in a step.
    """

    frame_px: int
    answer: int
    prompts: int
    adapted: bool
    device: str


SHAPES = {
    "small": Shape(frame_px=336, answer=40, prompts=2, adapted=False, device="cpu"),
    "3b": Shape(frame_px=840, answer=200, prompts=2, adapted=True, device="cuda"),
}


def build(name: str, tokenizer) -> Qwen2_5_VLForConditionalGeneration:
    """A random model that never ends an answer by itself, so that all shapes are what they are said to be."""
    torch.manual_seed(0)
    if name == "small":
        model = build_model(tokenizer, text_dim=384, text_depth=6)
    else:
        model = _three_billion(tokenizer)
    return model


def _three_billion(tokenizer) -> Qwen2_5_VLForConditionalGeneration:
    """Qwen2.5-VL-3B's configuration with the mini's special tokens, in bf16."""
    token = tokenizer.convert_tokens_to_ids
    text = {
        "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36,
        "num_attention_heads": 16, "num_key_value_heads": 2, "max_position_embeddings": 128000,
        "bos_token_id": None, "eos_token_id": token("<|im_end|>"), "pad_token_id": token("<|endoftext|>"),
        "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    }  # fmt: skip
    vision = {
        "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 2048,
        "fullatt_block_indexes": [7, 15, 23, 31], "window_size": 112,
    }  # fmt: skip
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    with torch.device("cuda"):
        return Qwen2_5_VLForConditionalGeneration(config).to(torch.bfloat16)


class Gradients(TrainerCallback):
    """Keeps the gradient of every step as one vector."""

    def __init__(self) -> None:
        self.steps: dict[str, torch.Tensor] = {}

    def on_pre_optimizer_step(self, args, state, control, model, **kwargs) -> None:
        named = sorted(model.named_parameters())
        parts = [p.grad.float().flatten().cpu() for _, p in named if p.grad is not None]
        self.steps[str(len(self.steps))] = torch.cat(parts)


def luck(completions: list, **columns: object) -> list[float]:
    """0, 0.25, … 1, depending on every letter: a random model hits nothing, and all else would be paid 0."""
    return [sum(map(ord, completion[0]["content"])) % 5 / 4 for completion in completions]


def decoded(rows):
    """The rows with pictures in place of their names."""

    def decode(batch: dict) -> dict:
        pairs = zip(batch["image"], batch["frame_px"], strict=True)
        return {
            **batch,
            "image": [Frame(frame_px=frame_px).show(load_picture(path)) for path, frame_px in pairs],
        }

    return rows.with_transform(decode)


def step(kind: str, shape: Shape, folder: Path) -> dict:
    """Run one of the trainers in this process; its costs, its logs, and its gradients in a file."""
    import trl.trainer.grpo_trainer as theirs
    from peft import LoraConfig
    from trl import GRPOConfig, GRPOTrainer

    from train.data import load
    from train.grpo import LANGUAGE_LAYERS
    from train.trainer import Trainer

    def drawn_but_not_dealt(batch: dict) -> dict:
        torch.randperm(len(batch["prompt_ids"]))
        return batch

    theirs.shuffle_sequence_dict = drawn_but_not_dealt
    preset = replace(PRESETS["mini"], frame=Frame(frame_px=shape.frame_px))
    rows, _ = load("scenes", preset, rows=shape.prompts * STEPS, folder=folder / "data")
    cuda = shape.device == "cuda"
    config = GRPOConfig(
        output_dir=str(folder / kind),
        use_cpu=not cuda,
        bf16=cuda,
        activation_checkpointing=cuda,
        report_to="none",
        save_strategy="no",
        logging_steps=1,
        max_steps=STEPS,
        per_device_train_batch_size=GROUP,
        gradient_accumulation_steps=shape.prompts,
        num_generations=GROUP,
        max_completion_length=shape.answer,
        log_multimodal=False,
        disable_tqdm=True,
        beta=5e-3,
        use_bias_correction_kl=False,
        loss_type="grpo",
        optim="sgd",  # Adam's first steps have the size of the rate however small a gradient is, rounding too
        learning_rate=0.1,
        lr_scheduler_type="constant",
        model_init_kwargs={"dtype": "bfloat16" if cuda else "float32"},
        generation_kwargs={"min_new_tokens": shape.answer},
    )
    processor = load_processor(folder / "model")
    processor.tokenizer.padding_side = "left"
    gradients = Gradients()
    trainer = (GRPOTrainer if kind == "stock" else Trainer)(
        model=str(folder / "model"),
        reward_funcs=[luck],
        args=config,
        train_dataset=decoded(rows) if kind == "stock" else rows,
        processing_class=processor,
        peft_config=LoraConfig(target_modules=LANGUAGE_LAYERS, r=32) if shape.adapted else None,
        callbacks=[gradients],
    )
    before, began = _cpu_seconds(), time.perf_counter()
    trainer.train()
    costs = {"CPU seconds a step": (_cpu_seconds() - before) / STEPS}
    costs["seconds a step"] = (time.perf_counter() - began) / STEPS
    costs["peak memory, MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if cuda:
        costs["peak GPU memory, MiB"] = torch.cuda.max_memory_allocated() / 2**20
    save_file(gradients.steps, folder / f"{kind}.safetensors")
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    return {"costs": costs, **{name: [entry[name] for entry in logs] for name in ("loss", "kl", "reward")}}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def far(ours: torch.Tensor, stock: torch.Tensor) -> float:
    """The largest difference, relative to the largest number. Raises ValueError when there is nothing."""
    if not stock.abs().max():
        raise ValueError("the steps did nothing, so comparing them says nothing")
    return float((ours - stock).abs().max() / stock.abs().max())


def compare(stock: dict, ours: dict, folder: Path) -> dict:
    differences = {
        name: far(torch.tensor(ours[name]), torch.tensor(stock[name])) for name in ("loss", "kl", "reward")
    }
    first, second = (load_file(folder / f"{kind}.safetensors") for kind in ("ours", "stock"))
    differences["gradient"] = max(far(first[name], second[name]) for name in second)
    return differences


def table(result: dict) -> str:
    """What a run measured, for people."""
    stock, ours = result["stock"]["costs"], result["ours"]["costs"]
    lines = [f"{'':24}{'GRPOTrainer':>14}{'ours':>12}{'ratio':>9}"]
    lines += [
        f"{name:24}{stock[name]:14.1f}{ours[name]:12.1f}{stock[name] / ours[name]:9.2f}" for name in stock
    ]
    lines.append("largest relative difference over the steps:")
    lines += [f"  {name:22}{value:14.1e}" for name, value in result["differences"].items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--frame-px", type=int, help="another side of the picture, a multiple of 28")
    parser.add_argument("--answer", type=int, help="another length of the answers, in tokens")
    parser.add_argument("--processor", default=PRESETS["mini"].reasoner, help="a folder of the mini's")
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    parser.add_argument("--only", nargs=2, metavar=("KIND", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    shape = SHAPES[args.shape]
    shape = replace(shape, frame_px=args.frame_px or shape.frame_px, answer=args.answer or shape.answer)
    if args.only:
        kind, folder = args.only[0], Path(args.only[1])
        (folder / f"{kind}.json").write_text(json.dumps(step(kind, shape, folder)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        processor = load_processor(args.processor)
        pixels = shape.frame_px**2
        processor.image_processor.size = {"shortest_edge": pixels, "longest_edge": pixels}  # never resize
        model = build(args.shape, processor.tokenizer)
        processor.save_pretrained(folder / "model")
        model.save_pretrained(folder / "model")
        parameters = sum(p.numel() for p in model.parameters())
        del model
        result = {"shape": vars(shape), "parameters": parameters, "torch": torch.__version__}
        for kind in ("stock", "ours"):
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--only", kind, name], check=True)
            result[kind] = json.loads((folder / f"{kind}.json").read_text())
        result["differences"] = compare(result["stock"], result["ours"], folder)
    print(f"{parameters / 1e6:.1f} M parameters, {shape}")
    print(table(result))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
