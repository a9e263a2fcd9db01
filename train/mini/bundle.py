"""Write a reasoner the way it is bundled: bf16, in shards below 10 MB, with its processor and settings.

    python -m train.mini.bundle runs/grpo-mini/model assets/mini/reasoner

GRPO's checkpoints are fp32 in one file, which no repository wants. bf16 is what the 7B ships in and what
training multiplies in; git packs it smaller than fp16.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path

import torch
from transformers import AutoProcessor, PreTrainedModel, ProcessorMixin, Qwen2_5_VLForConditionalGeneration

from train.mini.tokenizer import FRAME_PX


def write_reasoner(model: PreTrainedModel, processor: ProcessorMixin, folder: Path) -> None:
    """A folder that AutoModel and segzero.load open; the model itself stays as it is."""
    model = copy.deepcopy(model).to("cpu", torch.bfloat16)
    model.generation_config.update(eos_token_id=processor.tokenizer.eos_token_id, do_sample=False)
    model.save_pretrained(folder, max_shard_size="9MB")
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
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(args.model, dtype=torch.float32)
    write_reasoner(model, AutoProcessor.from_pretrained(args.model), args.out)


if __name__ == "__main__":
    main()
