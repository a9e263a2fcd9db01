"""Supervised fine-tuning on answers alone: the next token's cross-entropy on what stands after the prompt.

    spent = train(Path("runs/start"), rows, steps=40, batch=8, seed=0, out=Path("runs/sft"))

Rows, prompts and the packing of tokens are those of the GRPO trainer (train/data/dataset.py, prompts.py,
packing.py), so that both see the same questions in the same words. The start's chat template decides about
the thought: here it has one whose turn begins with an empty one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import process_time

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm
from transformers import get_cosine_schedule_with_warmup

from segzero.reasoner import load_model, load_processor
from train.packing import IGNORE, pack
from train.prompts import PromptReader

RATE, WARM_UP, WEIGHT_DECAY, CLIP = 1e-4, 5, 1e-2, 1.0


def train(
    start: Path,
    rows: Sequence[Mapping],
    *,
    steps: int,
    batch: int,
    seed: int,
    out: Path,
    freeze_vision: bool = False,
) -> float:
    """Train for `steps` steps of `batch` rows and save the model; -> the CPU-seconds of the steps alone.

    start: a reasoner's folder. rows: of train.data. A pass over all of them comes before the next begins.
    """
    torch.manual_seed(seed)
    processor = load_processor(start)
    processor.tokenizer.padding_side = "left"
    model = load_model(start, dtype=torch.float32)
    model.train()
    model.model.visual.requires_grad_(not freeze_vision)
    reader = PromptReader(processor, model, torch.device("cpu"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
    schedule = get_cosine_schedule_with_warmup(optimizer, min(WARM_UP, steps // 4), steps)
    began = process_time()
    order = batches(len(rows), batch, seed)
    for _ in (bar := tqdm(range(steps), desc="answers alone", unit="step", leave=False)):
        loss = answer_loss(model, reader, processor.tokenizer, [rows[i] for i in next(order)])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        bar.set_postfix(loss=f"{loss.item():.3f}")
    spent = process_time() - began
    model.save_pretrained(out)
    processor.save_pretrained(out)
    return spent


def answer_loss(model, reader: PromptReader, tokenizer, rows: Sequence[Mapping]) -> Tensor:
    """The mean over the answers' tokens, that which ends them included."""
    said = [
        torch.tensor(tokenizer(answer_text(row, tokenizer), add_special_tokens=False)["input_ids"])
        for row in rows
    ]
    ids = pad_sequence(said, batch_first=True, padding_value=tokenizer.pad_token_id)
    mask = pad_sequence([torch.ones_like(each) for each in said], batch_first=True)
    inputs = dict(pack(reader(rows), ids, mask, tokenizer.pad_token_id).inputs)
    labels = inputs.pop("shift_labels")
    logits = model(**inputs, use_cache=False).logits  # (R, L, V)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)


def answer_text(row: Mapping, tokenizer) -> str:
    """What a row's answer is after an empty thought; a solution of the multi dialect is the answer itself."""
    return f"<answer>{row['solution']}</answer>{tokenizer.eos_token}"


def batches(count: int, batch: int, seed: int) -> Iterator[list[int]]:
    """Endless batches of indices; every pass has its own order. A rest smaller than a batch waits."""
    rng, left = np.random.default_rng(seed), []
    while True:
        while len(left) < batch:
            left += rng.permutation(count).tolist()
        yield left[:batch]
        left = left[batch:]
