"""Train the mini reasoner from nothing: first to see, then to answer. One command, resumable at any moment:

    python -m train.mini.train_reasoner --minutes 90 --out runs/reasoner
    python -m train.mini.train_reasoner --init assets/mini/reasoner         # from the shipped weights
    torchrun --nproc-per-node 2 -m train.mini.train_reasoner                # on two cores

Three stages share one clock. SEE: dense scenes, no questions; every cell of the picture learns which concept
it shows and where that object's box is, on the visual tokens and again in the middle of the language model.
LISTEN: questions and thoughts without pictures, so that what is asked for is taken from the words.
ANSWER: questions with a short true thought and an answer, as next-token prediction, the dense losses kept on.
Three things teach retrieval ("which of these things is meant, and where is it") explicitly:
  * the token before a name or a box is told which cells to look at (an attention loss, in one layer);
  * a coordinate's target is a narrow bell over neighbouring numbers, so near misses are cheap;
  * coordinates are read from the middle layer through the same embedding that writes them.
Matrices are trained by Muon, which comes farther in four fifths of the steps (LOG.md), the rest by AdamW.
Stopping (Ctrl-C, a kill) loses at most --save-minutes; the same command goes on where it was. The exported
weights are the running average.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from segzero.contract import MINI, PresetError, preset_for_folder
from segzero.hub import ModelError, model_folder
from segzero.reasoner import load_model, load_processor
from train.mini.bundle import write_reasoner
from train.mini.carry import carried
from train.mini.language import FRAME_PX, train_processor
from train.mini.learning.model import PackedForward, build_model
from train.mini.learning.reasoner_data import IGNORE, Batch, Encoder
from train.mini.learning.reasoner_losses import Probes, dense_losses, look_loss, token_loss
from train.mini.learning.reasoner_stream import batches
from train.mini.learning.state import StateError, read_state, reading, restoring
from train.mini.learning.together import Team

DENSE_LAYER = 2  # hidden states after this many layers carry the dense losses


@dataclass(frozen=True)
class Plan:
    """What happens when, as a share of the planned time."""

    minutes: float
    see: float = 0.37
    listen: float = 0.05
    pictures: int = 8
    questions: int = 4
    rate: float = 1e-3
    warmup: int = 200
    average: float = 0.998

    def learning_rate(self, step: int, progress: float) -> float:
        """Constant while it learns to see and to listen; a cosine to zero while it learns to answer."""
        before = self.see + self.listen
        answering = max(0.0, progress - before) / (1 - before)
        decay = 0.5 * (1 + math.cos(math.pi * min(answering, 1.0)))
        return self.rate * min(1.0, (step + 1) / self.warmup) * max(decay, 0.02)


def optimizers(model: nn.Module, probes: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices between layers; AdamW for embeddings, heads, norms, biases and the patches."""
    named = dict(model.named_parameters())
    inner = [p for name, p in named.items() if p.ndim == 2 and "embed" not in name]
    chosen = {id(p) for p in inner}
    rest = [p for p in (*named.values(), *probes.parameters()) if id(p) not in chosen]
    return [
        torch.optim.Muon(inner, lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=rate, weight_decay=0.05, betas=(0.9, 0.98)),
    ]


class Run:
    """Model, optimizers, average and clock of one training run, as one thing that can be saved."""

    def __init__(self, processor, plan: Plan, seed: int, team: Team | None = None):
        torch.manual_seed(seed)
        self.processor, self.plan, self.seed, self.team = processor, plan, seed, team or Team()
        self.encoder = Encoder(processor, FRAME_PX)
        self.model = build_model(processor.tokenizer)
        self.model.set_attn_implementation("eager")  # faster than the fused kernel in bf16 on a CPU
        self.forward = PackedForward(self.model)
        self.probes = Probes(self.model.config.text_config.hidden_size, len(self.encoder.concepts))
        self.averaged = copy.deepcopy(self.model).requires_grad_(False)
        self.step, self.seconds = 0, 0.0
        self.trained = [*self.model.parameters(), *self.probes.parameters()]
        self.optimizers = optimizers(self.model, self.probes, plan.rate)

    @property
    def progress(self) -> float:
        return self.seconds / (60 * self.plan.minutes)

    @property
    def stage(self) -> str:
        if self.progress < self.plan.see:
            return "see"
        return "listen" if self.progress < self.plan.see + self.plan.listen else "answer"

    def to(self, device: str) -> Run:
        for module in (self.model, self.probes, self.averaged):
            module.to(device)
        return self

    def train_step(self, batch: Batch, seconds: float = 0.0) -> dict[str, float]:
        """One step of the whole team; seconds: what the last step took, which moves the clock."""
        for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
            group["lr"] = self.plan.learning_rate(self.step, self.progress)
        device = batch.frames.device
        with torch.autocast(device.type, torch.bfloat16):
            losses = self._losses(batch)
        scales = {"dense": 0.5 if "token" in losses else 1.0, "token": 1.0, "look": 1.0}
        total = sum(losses[name] * scales[name] for name in losses)
        total.backward()
        gradients = [p.grad for p in self.trained if p.grad is not None]
        self.seconds += self.team.mean(gradients, seconds)
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self._average()
        self.step += 1
        return {name: float(value.detach()) for name, value in losses.items()}

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        if not len(batch.frames):
            states = self.forward.read(batch.packed, self.model.get_input_embeddings().weight[:0])
            return {"token": token_loss(self.forward, batch, states, FRAME_PX)}
        seen = self.forward.see(batch.frames)
        asked = bool((batch.labels != IGNORE).any())
        states = self.forward.read(batch.packed, seen, None if asked else DENSE_LAYER)
        first = self.encoder.first_cell
        middle = states[DENSE_LAYER][:, first : first + seen.shape[1]]
        embed = self.model.get_input_embeddings().weight
        losses = {"dense": dense_losses(self.probes, embed, seen, middle, batch, FRAME_PX)}
        if asked:
            losses["token"] = token_loss(self.forward, batch, states, FRAME_PX)
            losses["look"] = look_loss(self.forward, batch, states)
        return losses

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.plan.average, (1 + self.step) / (10 + self.step))
        for old, new in zip(self.averaged.parameters(), self.model.parameters(), strict=True):
            old.lerp_(new.detach(), 1 - keep)

    def save(self, folder: Path) -> None:
        """What `resume` needs and the exported weights; the first of a team saves for all."""
        if self.team.rank:
            return
        parts = {name: getattr(self, name).state_dict() for name in ("model", "probes", "averaged")}
        parts["optimizers"] = [optimizer.state_dict() for optimizer in self.optimizers]
        torch.save({**parts, "step": self.step, "seconds": self.seconds}, folder / "state.tmp")
        (folder / "state.tmp").replace(folder / "state.pt")
        self.export(folder / "model")

    def resume(self, folder: Path) -> None:
        path, models = folder / "state.pt", ("model", "probes", "averaged")
        state = read_state(path, (*models, "optimizers", "step", "seconds"))
        with restoring(path):
            for name in models:
                getattr(self, name).load_state_dict(state[name])
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self.step, self.seconds = int(state["step"]), float(state["seconds"])

    def begin(self, weights: Path) -> None:
        """Start from exported weights; the dense losses' heads, which nobody keeps, start anew.

        Raises ModelError, and StateError for weights that are not all there.
        """
        with reading(model_folder(weights)):
            known = load_model(weights, dtype=torch.float32)
            words = load_processor(weights).tokenizer.get_vocab()
        was_px = preset_for_folder(weights, MINI).frame.frame_px
        now = self.processor.tokenizer.get_vocab()
        known = carried(known.state_dict(), words, now, was_px=was_px, frame_px=FRAME_PX)
        with restoring(weights):
            for model in (self.model, self.averaged):
                model.load_state_dict(known)

    def export(self, folder: Path) -> None:
        """The averaged weights; `train.mini.bundle` rounds them."""
        write_reasoner(self.averaged, self.processor, folder, rounded=False)


def stream(run: Run, workers: int):
    """Batches for the stage the run is in, each about as costly as the others."""
    pictures, questions, crowd = {
        "see": (2 * run.plan.pictures, 0, (4, 8)),
        "listen": (run.plan.pictures, 8, (2, 6)),
        "answer": (run.plan.pictures, run.plan.questions, (2, 6)),
    }[run.stage]
    return batches(
        run.encoder,
        seed=(run.seed + ("see", "answer", "listen").index(run.stage)) * run.team.size + run.team.rank,
        pictures=pictures,
        questions=questions,
        crowd=crowd,
        first=run.step,
        workers=workers,
        blind=run.stage == "listen",
    )


def move(batch: Batch, device: str) -> Batch:
    """The batch with every tensor on `device`."""
    packed = type(batch.packed)(
        *(getattr(batch.packed, name).to(device) for name in ("ids", "branch", "position"))
    )
    rest = {name: value.to(device) for name, value in vars(batch).items() if name != "packed"}
    return Batch(packed=packed, **rest)


def train(run: Run, folder: Path, save_minutes: float, workers: int, device: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    log = (folder / "log.jsonl").open("a")
    total = round(run.plan.minutes * 60)
    bar = tqdm(total=total, initial=round(run.seconds), unit="s", smoothing=0, disable=run.team.rank > 0)
    stage, source, saved, mean, seconds = None, None, time.monotonic(), {}, 0.0
    try:
        while run.progress < 1:
            began = time.monotonic()
            if run.stage != stage:
                stage, source = run.stage, stream(run, workers)
            for name, value in run.train_step(move(next(source), device), seconds).items():
                mean[name] = 0.98 * mean.get(name, value) + 0.02 * value
            seconds = time.monotonic() - began
            bar.update(round(run.seconds) - bar.n)
            if run.step % 50 == 0 and not run.team.rank:
                bar.set_postfix(step=run.step, **{name: f"{value:.3f}" for name, value in mean.items()})
                log.write(json.dumps({"step": run.step, "seconds": round(run.seconds), **mean}) + "\n")
                log.flush()
            if time.monotonic() - saved > 60 * save_minutes:
                run.save(folder)
                saved = time.monotonic()
    finally:
        run.save(folder)
        bar.close()


def open_run(args: argparse.Namespace, team: Team) -> Run:
    """The run of args.out where it stopped, or a new one. Raises StateError, ModelError and PresetError."""
    with reading(known := args.out / "model"):  # a run keeps the words it began with
        processor = load_processor(known) if known.exists() else train_processor()
    plan = Plan(minutes=args.minutes, see=args.see, listen=args.listen, rate=args.rate)
    run = Run(processor, plan, args.seed, team).to(args.device)
    if (args.out / "state.pt").exists():
        run.resume(args.out)
        print(f"resumed at step {run.step}, {run.seconds / 60:.1f} min")
    elif args.init:
        run.begin(args.init)
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/reasoner"))
    parser.add_argument("--init", type=Path, help="exported weights that a new run begins with")
    parser.add_argument(
        "--minutes", type=float, default=90, help="planned training time, all sessions together"
    )
    parser.add_argument("--see", type=float, default=Plan.see, help="share of the time spent on seeing alone")
    parser.add_argument("--listen", type=float, default=Plan.listen, help="share spent on words alone")
    parser.add_argument("--rate", type=float, default=Plan.rate, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="0 composes scenes in the training process")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save-minutes", type=float, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    team = Team.join()
    try:
        run = open_run(args, team)
    except (ModelError, PresetError, StateError) as error:
        sys.exit(f"train_reasoner: {error}")
    train(run, args.out, args.save_minutes, args.workers, args.device)
    team.leave()


if __name__ == "__main__":
    main()
