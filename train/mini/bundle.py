"""Write a reasoner the way it is bundled: matrices in float8, below 10 MB, with its processor and settings.

    python -m train.mini.bundle runs/grpo-mini/model assets/mini/reasoner

GRPO's checkpoints are fp32 in one file, four times as large, and a repository keeps every version of it. The
matrices are rounded (`in_float8`), which moves them by 2.7 % of their norm; LOG.md has what that does to
gIoU. Vectors stay bf16, and so does the config: the folder opens in whatever dtype is asked for.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path

import torch
from transformers import PreTrainedModel, ProcessorMixin

from segzero.reasoner import load_model, load_processor
from segzero.segmenter import in_float8
from train.mini.language import FRAME_PX


def write_reasoner(
    model: PreTrainedModel, processor: ProcessorMixin, folder: Path, *, rounded: bool = True
) -> None:
    """A folder that AutoModel and segzero.load open; the model itself stays as it is.

    rounded: matrices in float8. Without it all is bf16, in two files, to be trained on.
    """
    for old in folder.glob("model*.safetensors*"):  # else those of another number of files would stay
        old.unlink()
    model = copy.deepcopy(model).to("cpu", torch.bfloat16)
    model.generation_config.update(eos_token_id=processor.tokenizer.eos_token_id, do_sample=False)
    weights = {name: value.detach() for name, value in model.named_parameters()}  # tied ones once
    if rounded:
        weights = {name: in_float8(value) for name, value in weights.items()}
    model.save_pretrained(folder, state_dict=weights, max_shard_size="9MB")
    processor.save_pretrained(folder)
    about = {"frame_px": FRAME_PX, "dialect": "multi", "max_new_tokens": 320}
    (folder / "segzero.json").write_text(json.dumps(about, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a reasoner's folder")
    parser.add_argument("out", type=Path, help="where it goes")
    args = parser.parse_args()
    if not (args.model / "config.json").is_file():
        parser.error(f"{args.model} holds no model; name a folder such as runs/grpo-mini/model")
    model = load_model(args.model, dtype=torch.float32)
    write_reasoner(model, load_processor(args.model), args.out)


if __name__ == "__main__":
    main()
