"""How well a mini reasoner in training sees: the concept it gives each object, on every split.

    python -m train.mini.check_seeing runs/reasoner

Reads the run's state (the heads of the dense losses are in no exported model). An object is known when
the mean of its cells' log-probabilities, in the middle of the language model, is highest for its own concept.
The gap between `train` and `test` is what more drawings, styles and augmentation close, not more steps; the
gap between the smallest and the largest third of the objects is what a larger frame closes. `test` has one
sprite of each concept, so what is missed there names the drawings that training had nothing like.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from segzero.reasoner import load_processor
from train.mini.learning.model import PackedForward
from train.mini.learning.reasoner_data import Batch
from train.mini.learning.reasoner_stream import batches
from train.mini.train_reasoner import DENSE_LAYER, Plan, Run

SEED = 77
PICTURES = 32  # a batch


def objects(batch: Batch) -> list[tuple[int, int, list[int]]]:
    """Each object that owns a cell, as (picture, concept, its cells)."""
    found: dict[tuple, list[int]] = {}
    for picture, cell in (batch.cell_concept > 0).nonzero().tolist():
        concept = int(batch.cell_concept[picture, cell])
        key = (picture, concept, *batch.cell_box[picture, cell].tolist())
        found.setdefault(key, []).append(cell)
    return [(key[0], key[1], cells) for key, cells in found.items()]


@torch.no_grad()
def concept_scores(run: Run, batch: Batch) -> Tensor:
    """(B, cells, concepts) log-probabilities by the averaged weights; concept c is column c - 1."""
    forward = PackedForward(run.averaged)
    with torch.autocast("cpu", torch.bfloat16):
        states = forward.read(batch.packed, forward.see(batch.frames))
        first = run.encoder.first_cell
        middle = states[DENSE_LAYER][:, first : first + batch.cell_concept.shape[1]]
        return run.probes.concept[1](middle).float().log_softmax(-1)[..., 1:]


def most_missed(shown: Counter, known: Counter, names: list[str]) -> str:
    """The ten concepts with the most objects not known. shown, known: how often names[c - 1] was."""
    missed = shown - known
    most = missed.most_common(10)
    share = sum(count for _, count in most) / max(1, missed.total())
    listed = ", ".join(f"{names[concept - 1]} {count} of {shown[concept]}" for concept, count in most)
    return f"{share:.0%} of what is missed: {listed}" if most else "nothing is missed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder that train_reasoner wrote")
    parser.add_argument("--scenes", type=int, default=256)
    args = parser.parse_args()
    torch.set_num_threads(1)
    run = Run(load_processor(args.run / "model"), Plan(minutes=1), seed=0)
    run.resume(args.run)
    for split in ("train", "test", "style"):
        source = batches(
            run.encoder, split=split, seed=SEED, pictures=PICTURES, questions=0, crowd=(3, 6), workers=0
        )
        shown, known, sized = Counter(), Counter(), []
        for _ in range(-(-args.scenes // PICTURES)):
            batch = next(source)
            scores = concept_scores(run, batch)
            for picture, concept, cells in objects(batch):
                right = int(scores[picture, cells].mean(0).argmax()) + 1 == concept
                shown[concept] += 1
                known[concept] += right
                x1, y1, x2, y2 = batch.cell_box[picture, cells[0]].tolist()
                sized.append(((x2 - x1) * (y2 - y1), right))
        print(f"{split:6s} {sum(known.values()) / sum(shown.values()):.3f} of {sum(shown.values())} objects")
        thirds = [np.mean([right for _, right in part]) for part in np.array_split(sorted(sized), 3)]
        print("       smallest to largest third:", ", ".join(f"{share:.3f}" for share in thirds))
        print("      ", most_missed(shown, known, run.encoder.concepts))


if __name__ == "__main__":
    main()
