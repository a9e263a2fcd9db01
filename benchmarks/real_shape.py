"""What the published models' sizes cost, with random weights in their place: nothing is downloaded.

    python benchmarks/real_shape.py qwen3-vl-2b sam2.1-tiny        # some minutes; `free -g` first
    python benchmarks/real_shape.py --device cuda --out benchmarks/results/real_shape_gpu.json       # all

Writes each shape of benchmarks/shapes as it lies on the Hub (benchmarks/random_weights.py), loads it as the
program does, and tells seconds to load, peak memory, seconds to the first token of a first question about a
picture and of a second one, and milliseconds a token beside those that the weights' bytes need at the
bandwidth of the memory, measured just before; of a segmenter the seconds for a picture, and for a mask in it.
Each runs in a process of its own, so that peak memory is its own. What --out holds of other shapes stays.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

if not __package__:  # run as a file: Python then looks for modules beside it, not in the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np
import torch
from PIL import Image

from benchmarks.random_weights import NAMES, Shape, read_shape, write_model
from segzero.contract import PRESETS, Target
from segzero.reasoner import Reasoner
from segzero.segmenter import Segmenter

OUT = Path(__file__).parent / "results" / "real_shape.json"
QUESTIONS = "what keeps me dry?", "which one is the second from the left?"
WH = (960, 640)
_TOKENS = 32
_BUFFER = 1 << 30


def bandwidth(device: str) -> float:
    """Bytes a second that can be read from the device's memory: the best of some sums over a GiB."""
    numbers = torch.ones(_BUFFER // 4, device=device)
    return _BUFFER / min(_seconds(device, numbers.sum) for _ in range(8))


def measure(shape: Shape, folder: Path, device: str, tokens: int) -> dict[str, Any]:
    """Load a shape that was written into `folder`, and time it. tokens: of each answer."""
    asks = shape.preset is not None
    found = _reasoner(shape, folder, device, tokens) if asks else _segmenter(folder, device)
    found["peak_memory_gib"] = _gib(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    if device.startswith("cuda"):
        found["peak_gpu_memory_gib"] = _gib(torch.cuda.max_memory_allocated())
    return found


def _reasoner(shape: Shape, folder: Path, device: str, tokens: int) -> dict[str, Any]:
    reads = bandwidth(device)
    began = perf_counter()
    reasoner = Reasoner.load(folder, device=device, max_new_tokens=tokens)
    load_s = perf_counter() - began
    preset = PRESETS[shape.preset]
    frame = preset.frame.show(picture())
    asked = []  # of each question, when its pieces came
    for question in QUESTIONS:
        began = perf_counter()
        pieces = reasoner.stream(frame, preset.dialect.prompt(question))
        asked.append([perf_counter() - began for _ in pieces])
    (first, *_), (second, *later) = asked
    if not later:
        raise RuntimeError("the random model said one word and was silent: nothing to time")
    read = bytes_a_token(reasoner.model)
    return {
        "dtype": str(reasoner.model.dtype).removeprefix("torch."),
        "load_s": round(load_s, 2),
        "shown_wh": frame.size,
        "first_token_s": round(first, 3),
        "first_token_again_s": round(second, 3),
        "tokens": len(later) + 1,
        "ms_a_token": round(1000 * (later[-1] - second) / len(later), 2),
        "bytes_a_token": read,
        "ms_a_token_at_bandwidth": round(1000 * read / reads, 2),
        "bandwidth_gb_s": round(reads / 1e9, 1),
    }


def bytes_a_token(model: torch.nn.Module) -> int:
    """How many bytes of weights are read to write a token: the text's layers and the head, not the table of
    words, which is looked up, nor the vision tower."""
    words, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    layers = sum(each.nbytes for each in model.model.language_model.parameters() if each is not words)
    return layers + head.nbytes


def _segmenter(folder: Path, device: str) -> dict[str, Any]:
    began = perf_counter()
    segmenter = Segmenter.load(folder, device=device)
    load_s = perf_counter() - began
    asked, target = picture(), Target((320, 200, 640, 440), ((480, 320),))
    segmenter.segment(picture(seed=1), [target])  # what is set up once is no picture's
    embedding = _seconds(device, lambda: segmenter.embed(asked))
    mask = _seconds(device, lambda: segmenter.segment(asked, [target]))
    return {"load_s": round(load_s, 2), "embedding_s": round(embedding, 3), "mask_s": round(mask, 3)}


def picture(seed: int = 0) -> Image.Image:
    """Noise of size WH: no model's time depends on what it sees."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*WH[::-1], 3), dtype=np.uint8))


def _seconds(device: str, work) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    began = perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return perf_counter() - began


def _gib(size: int) -> float:
    return round(size / 2**30, 2)


def machine(device: str) -> dict[str, Any]:
    """What it ran on, and how busy that was: processes that wanted a core, over the last minute."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.machine()
    return {
        "device": f"{name}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "load_average": round(os.getloadavg()[0], 1),
    }


def _apart(work, *args) -> None:
    """Do it in a process of its own: on Linux a child's peak memory begins at its parent's."""
    process = get_context("spawn").Process(target=work, args=args)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def table(found: dict[str, dict[str, Any]]) -> str:
    """The results in lines."""
    lines = []
    for name, each in found.items():
        what = ", ".join(f"{key} {value}" for key, value in each.items() if key != "machine")
        lines.append(f"{name}: {what}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog=f"Shapes: {', '.join(NAMES)}."
    )
    add = parser.add_argument
    add("shapes", nargs="*", metavar="SHAPE", help="which to measure (default: all)")
    add("--device", default="cpu", help="cpu, cuda, … (default: cpu)")
    add("--tokens", type=int, default=_TOKENS, help=f"length of the answers (default: {_TOKENS})")
    add("--out", type=Path, default=OUT, help=f"a JSON file for the results (default: {OUT.name})")
    add("--only", nargs=2, metavar=("SHAPE", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if unknown := set(args.shapes) - set(NAMES):
        parser.error(f"there is no shape {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if args.only:
        name, folder = args.only
        shape, about = read_shape(name), machine(args.device)
        found = measure(shape, Path(folder), args.device, args.tokens)
        Path(folder, "found.json").write_text(json.dumps({"model": shape.model, **found, "machine": about}))
        return
    found = json.loads(args.out.read_text()) if args.out.exists() else {}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for name in args.shapes or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            _apart(write_model, read_shape(name), Path(folder))
            options = ["--device", args.device, "--tokens", str(args.tokens), "--only", name, folder]
            subprocess.run([sys.executable, __file__, *options], check=True)
            found[name] = json.loads(Path(folder, "found.json").read_text())
        args.out.write_text(json.dumps(found, indent=2) + "\n")
        print(table({name: found[name]}), flush=True)


if __name__ == "__main__":
    main()
