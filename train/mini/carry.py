"""Carry trained weights over to another vocabulary or another frame.

    model.load_state_dict(carried(known, known_words, words, was_px=168, frame_px=280))

Only the embedding, which also reads the answer out, has a row per token. A token that both vocabularies have
keeps its row; a coordinate takes what the other frame had at its place, between two neighbours' rows. The
rest of the network is the same at every size of the frame. Used by `train_reasoner --init`.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

EMBEDDING = "model.language_model.embed_tokens.weight"
TIED = "lm_head.weight"


def carried(
    weights: dict[str, Tensor], was: dict[str, int], now: dict[str, int], *, was_px: int, frame_px: int
) -> dict[str, Tensor]:
    """weights: a mini's state, its embedding (V, D) for the vocabulary `was` -> the same for `now`.

    was, now: token -> id, the frame's integers being ids 0..px-1. A token of `now` alone gets the mean row,
    which means nothing yet.
    """
    old = weights[EMBEDDING].float()
    new = old.mean(0).repeat(max(now.values()) + 1, 1)
    for token, index in now.items():
        if token in was:
            new[index] = old[was[token]]
    # Pixel centres aligned, as where a picture is resized.
    new[:frame_px] = F.interpolate(old[:was_px].T[None], frame_px, mode="linear")[0].T
    new = new.to(weights[EMBEDDING].dtype)
    return weights | {name: new for name in (EMBEDDING, TIED) if name in weights}
