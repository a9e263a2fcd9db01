"""Whether a model fits this machine, before a download begins: what is to come, and what room there is.

    problem = lacking(Load(download=8 * GB, weights=8 * GB), room_here(device, cache), quantize=None)

Numbers are bytes. What is known of a model is the size of its files; a reasoner's weights are bf16 on the
Hub.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GB = 1_000_000_000
SPARE = 2 * GB  # for pictures, keys and values, and whatever else runs
PER_WEIGHT = {None: 1.0, "8bit": 0.6, "4bit": 0.4}
"""What quantized weights take of their bf16 size: the vision tower and the head stay as they are."""


@dataclass(frozen=True)
class Load:
    """download: what is not here yet. weights: the files that go into memory, here or not."""

    download: int
    weights: int


@dataclass(frozen=True)
class Room:
    """What is free. place: "GPU" or "machine", whose memory it is."""

    disk: int
    memory: int
    place: str


def room_here(device: str, cache: Path) -> Room:
    """What is free for a model on a device, its files below `cache`."""
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    disk = shutil.disk_usage(there).free
    if device.startswith("cuda"):
        import torch

        return Room(disk, torch.cuda.mem_get_info(device)[0], "GPU")
    import psutil

    return Room(disk, psutil.virtual_memory().available, "machine")


def fits_in_fp32(size: int) -> bool:
    """Whether bf16 weights of so many bytes fit this machine as fp32: exact, and on a CPU no slower."""
    import psutil

    return 2 * size + SPARE <= psutil.virtual_memory().available


def lacking(load: Load, room: Room, quantize: str | None = None) -> str:
    """What the machine lacks, as a part of a sentence; "" when the model fits."""
    needed = int(load.weights * PER_WEIGHT[quantize]) + SPARE
    if load.download > room.disk:
        return f"{gigabytes(load.download)} are to come, and the disk has {gigabytes(room.disk)} free"
    if needed > room.memory:
        return (
            f"it takes {gigabytes(needed)} of memory, and the {room.place} has {gigabytes(room.memory)} free"
        )
    return ""


def what_fits(load: Load, room: Room, others: Mapping[str, int]) -> str:
    """What to do instead: quantize, or the largest of `others`, {preset: bytes of its weights}, that fits."""
    for how in ("8bit", "4bit"):
        if room.place == "GPU" and not lacking(load, room, how):
            return f"--quantize {how} would fit"
    fitting = [name for name, size in others.items() if not lacking(Load(size, size), room)]
    if not fitting:
        return "only a server elsewhere would do"
    return f"--preset {max(fitting, key=others.get)} would fit"


def gigabytes(size: int) -> str:
    return f"{size / GB:.1f} GB" if size < 100 * GB else f"{size / GB:.0f} GB"
