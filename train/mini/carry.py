"""Carry trained weights over to another vocabulary, another frame or another size of the segmenter's crops.

    reasoner.load_state_dict(carried(known, known_words, words, was_px=168, frame_px=280))
    segmenter.load_state_dict(resized(known, crop_px=160))

Of the reasoner only the embedding, which also reads the answer out, has a row per token. A token that both
vocabularies have keeps its row; a coordinate takes what the other frame had at its place, between two
neighbours' rows. Of the segmenter only the tables of relative positions depend on the size. The rest of both
networks is the same at every size. Used by the trainers' `--init`.
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


def resized(weights: dict[str, Tensor], crop_px: int) -> dict[str, Tensor]:
    """weights: a mini segmenter's state, made for crops of any size -> the same for crops of crop_px."""
    offsets = 2 * (crop_px // 16) - 1  # between rows, or columns, of the map at stride 16

    def table(name: str, old: Tensor) -> Tensor:
        if ".rel_pos_" not in name:
            return old
        return F.interpolate(old.float().T[None], offsets, mode="linear")[0].T.to(old.dtype)

    return {name: table(name, old) for name, old in weights.items()}
