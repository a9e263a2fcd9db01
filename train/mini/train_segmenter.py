"""Train the mini segmenter from nothing on composed scenes. One command, resumable at any moment:

    python -m train.mini.train_segmenter --minutes 45 --out runs/segmenter
    python -m train.mini.train_segmenter --out runs/segmenter --more 30      # a further, gentler cycle
    python -m train.mini.train_segmenter --init assets/mini/segmenter --rate 1e-3    # from shipped weights
    python -m train.mini.train_segmenter --evaluate --scenes 200             # the shipped weights, test split

The loss of a mask is cross-entropy + dice against the soft (antialiased) truth; token 0 answers alone, of the
three multimask tokens only the best one learns, as in SAM, and the IoU head learns each mask's IoU. Now and
then the model first answers, and a point from where it was wrong joins the prompt: what `refine` does. Half
of the time is spent on smaller crops than the model is made for, the rest on full ones. Stopping (Ctrl-C, a
kill) loses at most --save-minutes; the same command goes on where it was. The exported weights are the
running average.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from segzero.segmenter import MiniBackend, MiniSam, MiniSamConfig
from train.mini.carry import resized
from train.mini.learning.segmenter_data import Batch, Batches
from train.mini.learning.state import StateError, read_state, reading, restoring

SHIPPED = Path("assets/mini/segmenter")
MODELS = ("model", "averaged", "optimizer")  # what a state has of a run, beside its clock
COARSE_PX = 128  # crops of training's first part, at 0.6 of the cost


@dataclass(frozen=True)
class Plan:
    """One cycle of the learning rate: it begins and ends at these seconds of the run's own clock."""

    begin: float
    end: float
    rate: float = 2e-3
    warmup: int = 200  # steps
    batch: int = 24
    average: float = 0.998
    correct: float = 0.15  # share of steps that add a point from where the model was wrong
    coarse: float = 0.5  # share of the cycle on COARSE_PX crops

    def progress(self, seconds: float) -> float:
        return min(max((seconds - self.begin) / (self.end - self.begin), 0.0), 1.0)

    def learning_rate(self, step: int, seconds: float) -> float:
        decay = max(0.5 * (1 + math.cos(math.pi * self.progress(seconds))), 0.01)
        return self.rate * min(1.0, (step + 1) / self.warmup) * decay


def mask_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy + dice per mask: (B, T, h, w) logits against (B, 1, h, w) in [0, 1] -> (B, T)."""
    truth = truth.expand_as(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean((-2, -1))
    chance = logits.sigmoid()
    overlap = (chance * truth).sum((-2, -1))
    dice = 1 - (2 * overlap + 1) / (chance.sum((-2, -1)) + truth.sum((-2, -1)) + 1)
    return 2 * entropy + dice


@torch.no_grad()
def mask_iou(logits: Tensor, truth: Tensor) -> Tensor:
    """IoU of logits > 0 with truth > 0.5: (B, T, h, w), (B, 1, h, w) -> (B, T)."""
    found, meant = logits > 0, truth > 0.5
    return (found & meant).sum((-2, -1)) / (found | meant).sum((-2, -1)).clamp(min=1)


def losses_of(logits: Tensor, iou: Tensor, truth: Tensor, step: int) -> tuple[dict[str, Tensor], Tensor]:
    """-> the named losses, and the IoU of every mask (B, T). The multimask tokens are judged on a quarter of
    the pixels, another quarter each step: they cost as much as everything else at full resolution."""
    row, column = step % 2, step // 2 % 2
    truth = truth[:, None]
    quarter = logits[:, 1:, row::2, column::2], truth[:, :, row::2, column::2]
    best = mask_loss(*quarter).min(1).values.mean()
    actual = torch.cat([mask_iou(logits[:, :1], truth), mask_iou(*quarter)], 1)
    mask = mask_loss(logits[:, :1], truth).mean()
    return {"mask": mask, "best": best, "iou": F.mse_loss(iou, actual)}, actual


@torch.no_grad()
def point_at_error(logits: Tensor, batch: Batch, generator: torch.Generator) -> Batch:
    """The batch with one more point for each example: a random pixel where token 0's mask was wrong."""
    size = logits.shape[-1]
    wrong = ((logits[:, 0] > 0) != (batch.masks > 0.5)).flatten(1).float().cpu() + 1e-6
    index = torch.multinomial(wrong, 1, generator=generator).to(batch.masks.device)
    label = (batch.masks.flatten(1).gather(1, index) > 0.5).long()
    point = torch.stack([index % size, index // size], -1).float()
    if batch.points is not None:
        point, label = torch.cat([batch.points, point], 1), torch.cat([batch.labels, label], 1)
    return Batch(batch.crops, batch.masks, batch.boxes, point, label)


class Run:
    """Model, optimizer, average and clock of one training run, as one thing that can be saved."""

    def __init__(self, plan: Plan, *, seed: int, device: str = "cpu", config: MiniSamConfig | None = None):
        torch.manual_seed(seed)
        self.plan, self.seed, self.device = plan, seed, device
        self.model = MiniSam(config or MiniSamConfig()).to(device, memory_format=torch.channels_last)
        self.averaged = copy.deepcopy(self.model).requires_grad_(False)
        self.step, self.seconds = 0, 0.0
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=plan.rate, weight_decay=0.02)

    def train_step(self, batch: Batch) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.learning_rate(self.step, self.seconds)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        with torch.autocast(self.device, torch.bfloat16):
            if torch.rand((), generator=generator) < self.plan.correct:
                with torch.no_grad():
                    logits, _ = self.averaged(batch.crops, batch.boxes, batch.points, batch.labels)
                batch = point_at_error(logits, batch, generator)
            logits, iou = self.model(batch.crops, batch.boxes, batch.points, batch.labels)
        losses, actual = losses_of(logits.float(), iou.float(), batch.masks, self.step)
        (losses["mask"] + 0.5 * losses["best"] + losses["iou"]).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._average()
        self.step += 1
        found = {"IoU": actual[:, 0].mean(), "best IoU": actual[:, 1:].max(1).values.mean()}
        return {name: float(value.detach()) for name, value in (losses | found).items()}

    @property
    def crops(self) -> MiniSamConfig:
        """The config that training examples are cut for at this moment."""
        config = self.model.config
        coarse = self.plan.progress(self.seconds) < self.plan.coarse
        return replace(config, crop_px=min(COARSE_PX, config.crop_px)) if coarse else config

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.plan.average, (1 + self.step) / (10 + self.step))
        new = self.model.state_dict()
        for name, old in self.averaged.state_dict().items():
            if old.is_floating_point():
                old.lerp_(new[name], 1 - keep)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        parts = {name: getattr(self, name).state_dict() for name in MODELS}
        clock = {
            "step": self.step,
            "seconds": self.seconds,
            "begin": self.plan.begin,
            "end": self.plan.end,
            "rate": self.plan.rate,
            "seed": self.seed,
            "config": asdict(self.model.config),
        }
        torch.save(parts | clock, folder / "state.tmp")
        (folder / "state.tmp").replace(folder / "state.pt")
        MiniBackend(copy.deepcopy(self.averaged)).save(folder / "model")

    def load_state(self, state: dict) -> None:
        for name in MODELS:
            getattr(self, name).load_state_dict(state[name])
        self.step, self.seconds = int(state["step"]), float(state["seconds"])


def open_run(
    folder: Path, plan: Plan, *, more: float, seed: int, device: str, start: Path | None = None
) -> Run:
    """A new run with this plan, or the one in `folder` where it stopped.

    start: exported weights that a new run begins with. A run's first cycle may be planned anew as it goes on;
    `more` minutes start another, at half the rate. Raises StateError.
    """
    path = folder / "state.pt"
    if not path.exists():
        with reading(start or path):
            known = MiniBackend.load(start).model if start else None
        config = replace(known.config, crop_px=MiniSamConfig.crop_px) if known else MiniSamConfig()
        run = Run(plan, seed=seed, device=device, config=config)
        if known:
            weights = resized(known.state_dict(), config.crop_px)
            run.model.load_state_dict(weights)
            run.averaged.load_state_dict(weights)
        return run
    state = read_state(path, (*MODELS, "step", "seconds", "begin", "end", "rate", "seed", "config"))
    if more:
        now = state["seconds"]
        plan = replace(plan, begin=now, end=now + 60 * more, rate=plan.rate / 2)
    elif state["begin"]:
        plan = replace(plan, begin=state["begin"], end=state["end"], rate=state["rate"])
    with restoring(path):
        run = Run(plan, seed=state["seed"], device=device, config=MiniSamConfig(**state["config"]))
        run.load_state(state)
    return run


def train(run: Run, composer, folder: Path, *, save_minutes: float, workers: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    bar = tqdm(total=round(run.plan.end), initial=round(run.seconds), unit="s", smoothing=0, mininterval=2)
    # On a CPU that others use as well, only the time this process really had says how far training is.
    clock = time.process_time if run.device == "cpu" else time.perf_counter
    log, saved, mean, crops = (folder / "log.jsonl").open("a"), time.monotonic(), {}, None
    try:
        while run.seconds < run.plan.end:
            if run.crops != crops:
                crops = run.crops
                source = Batches(composer, crops, seed=run.seed, first=run.step, size=run.plan.batch)
                loader = iter(
                    torch.utils.data.DataLoader(source, batch_size=None, num_workers=min(workers, 1))
                )
            batch, began = next(loader), clock()
            moved = (None if value is None else value.to(run.device) for value in vars(batch).values())
            for name, value in run.train_step(Batch(*moved)).items():
                mean[name] = 0.98 * mean.get(name, value) + 0.02 * value
            run.seconds += clock() - began
            bar.update(round(run.seconds) - bar.n)
            if run.step % 50 == 0:
                line = {name: round(value, 4) for name, value in mean.items()}
                bar.set_postfix(step=run.step, **line)
                log.write(json.dumps({"step": run.step, "seconds": round(run.seconds), **line}) + "\n")
                log.flush()
            if time.monotonic() - saved > 60 * save_minutes:
                run.save(folder)
                saved = time.monotonic()
    finally:
        run.save(folder)
        bar.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/segmenter"))
    minutes = "planned training time, all sessions together; CPU time where there is no GPU"
    parser.add_argument("--minutes", type=float, default=45, help=minutes)
    parser.add_argument(
        "--more", type=float, default=0, help="minutes of a further cycle for a run that is done"
    )
    parser.add_argument("--init", type=Path, help="exported weights that a new run begins with")
    parser.add_argument("--rate", type=float, default=Plan.rate, help="peak learning rate")
    parser.add_argument("--batch", type=int, default=Plan.batch)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, choices=(0, 1), help="0 composes scenes inline")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save-minutes", type=float, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--evaluate", action="store_true", help="measure the exported weights, train nothing")
    parser.add_argument("--weights", type=Path, help="what to measure; default: the shipped ones")
    parser.add_argument("--scenes", type=int, default=200, help="test scenes to measure on")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    from train.mini.evaluate_segmenter import evaluate
    from train.mini.world import Composer, World

    if not args.evaluate:
        plan = Plan(begin=0, end=60 * args.minutes, rate=args.rate, batch=args.batch)
        how = {"more": args.more, "seed": args.seed, "device": args.device, "start": args.init}
        try:
            run = open_run(args.out, plan, **how)
        except StateError as error:
            sys.exit(f"train_segmenter: {error}")
    world = World.load()
    if not args.evaluate:
        train(run, Composer(world, "train"), args.out, save_minutes=args.save_minutes, workers=args.workers)
    weights = args.weights or (SHIPPED if args.evaluate else args.out / "model")
    results = evaluate(MiniBackend.load(weights, args.device), Composer(world, "test"), scenes=args.scenes)
    print(json.dumps(results, indent=2))
    weights.joinpath("results.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
