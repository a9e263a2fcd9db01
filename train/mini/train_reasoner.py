"""Train the mini reasoner from nothing: first to see, then to answer. One command, resumable at any moment:

    python -m train.mini.train_reasoner --minutes 90 --out runs/reasoner

Three stages share one clock. SEE: dense scenes, no questions; every cell of the picture learns which concept
it shows and where that object's box is, on the visual tokens and again in the middle of the language model.
LISTEN: questions and thoughts without pictures, so that what is asked for is taken from the words.
ANSWER: questions with a short true thought and an answer, as next-token prediction, the dense losses kept on.
Three things teach retrieval ("which of these things is meant, and where is it") explicitly:
  * the token before a name or a box is told which cells to look at (an attention loss, in one layer);
  * a coordinate's target is a narrow bell over neighbouring numbers, so near misses are cheap;
  * coordinates are read from the middle layer through the same embedding that writes them.
Stopping (Ctrl-C, a kill) loses at most --save-minutes; the same command goes on where it was. The exported
weights are the running average.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm
from transformers import AutoProcessor

from train.mini.bundle import write_reasoner
from train.mini.model import CELL_PX, PackedForward, build_model
from train.mini.reasoner_data import IGNORE, Batch, Encoder
from train.mini.reasoner_stream import batches
from train.mini.tokenizer import FRAME_PX, train_processor

DENSE_LAYER = 2  # hidden states after this many layers carry the dense losses
LOOK_LAYER, LOOK_HEADS = 2, 2
BELL_PX = 1.5


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


class Probes(nn.Module):
    """Heads of the dense losses; thrown away after training."""

    def __init__(self, dim: int, concepts: int):
        super().__init__()
        self.concept = nn.ModuleList([nn.Linear(dim, concepts + 1) for _ in range(2)])
        self.offset = nn.Linear(dim, 4)
        self.edge = nn.Linear(dim, 4 * dim)


def bell(labels: Tensor, size: int) -> Tensor:
    """labels (K,) integers -> (K, size) a narrow Gaussian around each, summing to one."""
    distance = torch.arange(size, device=labels.device)[None] - labels[:, None]
    return torch.softmax(-(distance**2).float() / (2 * BELL_PX**2), dim=-1)


def dense_losses(
    probes: Probes, embed: Tensor, seen: Tensor, middle: Tensor, batch: Batch, frame_px: int
) -> Tensor:
    """Concept and box of each cell, from visual tokens `seen` and middle states `middle` (B, cells, D)."""
    wanted = batch.cell_concept.flatten()
    weight = torch.ones(probes.concept[0].out_features, device=seen.device)
    weight[0] = 0.3
    loss = seen.new_zeros((), dtype=torch.float32)
    for head, hidden in zip(probes.concept, (seen, middle), strict=True):
        logits = head(hidden).float().flatten(0, 1)
        loss = loss + F.cross_entropy(logits, wanted, weight, ignore_index=IGNORE, label_smoothing=0.05)
    row, cell = (batch.cell_concept > 0).nonzero(as_tuple=True)
    side = frame_px // CELL_PX
    centre = torch.stack([cell % side, cell // side], -1).float() * CELL_PX + CELL_PX / 2
    box = batch.cell_box[row, cell]
    offset = (box - centre.repeat(1, 2)) / frame_px
    loss = loss + 4 * F.l1_loss(probes.offset(seen[row, cell]).float(), offset)
    edges = probes.edge(middle[row, cell]).view(-1, 4, middle.shape[-1])
    logits = (edges @ embed[:frame_px].to(edges.dtype).T).float().flatten(0, 1)
    target = bell(box.round().long().clamp(0, frame_px - 1).flatten(), frame_px)
    return loss + 0.3 * F.cross_entropy(logits, target)


def token_loss(forward: PackedForward, batch: Batch, states: list[Tensor], frame_px: int) -> Tensor:
    """Next-token cross-entropy; a coordinate's target is a bell."""
    row, at = (batch.labels != IGNORE).nonzero(as_tuple=True)
    labels = batch.labels[row, at]
    logp = forward.model.lm_head(states[-1][row, at]).float().log_softmax(-1)
    is_number = labels < frame_px
    word = F.nll_loss(logp[~is_number], labels[~is_number], reduction="sum")
    number = -(bell(labels[is_number], frame_px) * logp[is_number][:, :frame_px]).sum()
    return (word + number) / max(len(labels), 1)


def look_loss(forward: PackedForward, batch: Batch, states: list[Tensor]) -> Tensor:
    """How little the token before a name or a box looks at the cells of what it is about to name."""
    looked = forward.looks(batch.packed, states, LOOK_LAYER, LOOK_HEADS, batch.look_row, batch.look_at)
    hit = torch.logsumexp(looked.masked_fill(~batch.look_cells, -30.0), -1)
    return -hit.mean() if len(hit) else looked.sum()


class Run:
    """Model, optimizer, average and clock of one training run, as one thing that can be saved."""

    def __init__(self, processor, plan: Plan, seed: int):
        torch.manual_seed(seed)
        self.processor, self.plan, self.seed = processor, plan, seed
        self.encoder = Encoder(processor, FRAME_PX)
        self.model = build_model(processor.tokenizer)
        self.model.set_attn_implementation("eager")  # faster than the fused kernel in bf16 on a CPU
        self.forward = PackedForward(self.model)
        self.probes = Probes(self.model.config.text_config.hidden_size, len(self.encoder.concepts))
        self.averaged = copy.deepcopy(self.model).requires_grad_(False)
        self.step, self.seconds = 0, 0.0
        trained = [*self.model.parameters(), *self.probes.parameters()]
        self.optimizer = torch.optim.AdamW(trained, lr=plan.rate, weight_decay=0.05, betas=(0.9, 0.98))

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

    def train_step(self, batch: Batch) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.learning_rate(self.step, self.progress)
        device = batch.frames.device
        with torch.autocast(device.type, torch.bfloat16):
            losses = self._losses(batch)
        scales = {"dense": 0.5 if "token" in losses else 1.0, "token": 1.0, "look": 1.0}
        total = sum(losses[name] * scales[name] for name in losses)
        total.backward()
        nn.utils.clip_grad_norm_([p for g in self.optimizer.param_groups for p in g["params"]], 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._average()
        self.step += 1
        return {name: float(value.detach()) for name, value in losses.items()}

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        if not len(batch.frames):
            states = self.forward.read(batch.packed, self.model.get_input_embeddings().weight[:0])
            return {"token": token_loss(self.forward, batch, states, FRAME_PX)}
        seen = self.forward.see(batch.frames)
        states = self.forward.read(batch.packed, seen)
        first = self.encoder.first_cell
        middle = states[DENSE_LAYER][:, first : first + seen.shape[1]]
        embed = self.model.get_input_embeddings().weight
        losses = {"dense": dense_losses(self.probes, embed, seen, middle, batch, FRAME_PX)}
        if (batch.labels != IGNORE).any():
            losses["token"] = token_loss(self.forward, batch, states, FRAME_PX)
            losses["look"] = look_loss(self.forward, batch, states)
        return losses

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.plan.average, (1 + self.step) / (10 + self.step))
        for old, new in zip(self.averaged.parameters(), self.model.parameters(), strict=True):
            old.lerp_(new.detach(), 1 - keep)

    def save(self, folder: Path) -> None:
        parts = {
            name: getattr(self, name).state_dict() for name in ("model", "probes", "averaged", "optimizer")
        }
        torch.save({**parts, "step": self.step, "seconds": self.seconds}, folder / "state.tmp")
        (folder / "state.tmp").replace(folder / "state.pt")
        self.export(folder / "model")

    def resume(self, folder: Path) -> None:
        state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
        for name in ("model", "probes", "averaged", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.step, self.seconds = state["step"], state["seconds"]

    def export(self, folder: Path) -> None:
        """The averaged weights, as they are bundled."""
        write_reasoner(self.averaged, self.processor, folder)


def stream(run: Run, workers: int):
    """Batches for the stage the run is in, each about as costly as the others."""
    pictures, questions, crowd = {
        "see": (2 * run.plan.pictures, 0, (3, 7)),
        "listen": (run.plan.pictures, 8, (2, 6)),
        "answer": (run.plan.pictures, run.plan.questions, (2, 6)),
    }[run.stage]
    return batches(
        run.encoder,
        seed=run.seed + ("see", "answer", "listen").index(run.stage),
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
    bar = tqdm(total=round(run.plan.minutes * 60), initial=round(run.seconds), unit="s", smoothing=0)
    stage, source, saved, mean = None, None, time.monotonic(), {}
    try:
        while run.progress < 1:
            began = time.monotonic()
            if run.stage != stage:
                stage, source = run.stage, stream(run, workers)
            for name, value in run.train_step(move(next(source), device)).items():
                mean[name] = 0.98 * mean.get(name, value) + 0.02 * value
            run.seconds += time.monotonic() - began
            bar.update(round(run.seconds) - bar.n)
            if run.step % 50 == 0:
                bar.set_postfix(step=run.step, **{name: f"{value:.3f}" for name, value in mean.items()})
                log.write(json.dumps({"step": run.step, "seconds": round(run.seconds), **mean}) + "\n")
                log.flush()
            if time.monotonic() - saved > 60 * save_minutes:
                run.save(folder)
                saved = time.monotonic()
    finally:
        run.save(folder)
        bar.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/reasoner"))
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
    known = args.out / "model"  # a run keeps the words it began with
    processor = AutoProcessor.from_pretrained(known) if known.exists() else train_processor()
    run = Run(
        processor, Plan(minutes=args.minutes, see=args.see, listen=args.listen, rate=args.rate), args.seed
    ).to(args.device)
    if (args.out / "state.pt").exists():
        run.resume(args.out)
        print(f"resumed at step {run.step}, {run.seconds / 60:.1f} min")
    train(run, args.out, args.save_minutes, args.workers, args.device)


if __name__ == "__main__":
    main()
