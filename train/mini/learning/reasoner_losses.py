"""What the mini reasoner is trained on: the losses of seeing, of answering and of looking at what is meant.

    losses = {"dense": dense_losses(probes, embed, seen, middle, batch, frame_px), ...}

Used by `python -m train.mini.train_reasoner`, which says what each is for.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.mini.learning.model import CELL_PX, PackedForward
from train.mini.learning.reasoner_data import IGNORE, Batch

LOOK_LAYER, LOOK_HEADS = 2, 2
BELL_PX = 1.5
EDGES = 0.6  # weight of a box's four edges among the dense losses
NUMBER = 2.0  # weight of a coordinate among the tokens of an answer


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
    return loss + EDGES * F.cross_entropy(logits, target)


def token_loss(forward: PackedForward, batch: Batch, states: list[Tensor], frame_px: int) -> Tensor:
    """Next-token cross-entropy; a coordinate's target is a bell."""
    row, at = (batch.labels != IGNORE).nonzero(as_tuple=True)
    labels = batch.labels[row, at]
    logp = forward.model.lm_head(states[-1][row, at]).float().log_softmax(-1)
    is_number = labels < frame_px
    word = F.nll_loss(logp[~is_number], labels[~is_number], reduction="sum")
    number = -(bell(labels[is_number], frame_px) * logp[is_number][:, :frame_px]).sum()
    return (word + NUMBER * number) / max(len(labels), 1)


def look_loss(forward: PackedForward, batch: Batch, states: list[Tensor]) -> Tensor:
    """How little the token before a name or a box looks at the cells of what it is about to name."""
    looked = forward.looks(batch.packed, states, LOOK_LAYER, LOOK_HEADS, batch.look_row, batch.look_at)
    hit = torch.logsumexp(looked.masked_fill(~batch.look_cells, -30.0), -1)
    return -hit.mean() if len(hit) else looked.sum()
