"""Whether a model fits a machine, by numbers worked out by hand: python -m pytest tests/test_room.py"""

from __future__ import annotations

from pathlib import Path

import pytest

from segzero.room import GB, Load, Room, lacking, room_here, what_fits

SEVEN_B = Load(download=int(16.6 * GB), weights=int(16.6 * GB))
OTHERS = {"mini": GB // 100, "qwen3-vl-2b": int(4.3 * GB), "qwen3-vl-4b": int(8.9 * GB)}


@pytest.mark.parametrize(
    "room, quantize, words",
    [
        (Room(100 * GB, 24 * GB, "GPU"), None, ""),  # 16.6 + 2 of 24
        (Room(100 * GB, 16 * GB, "GPU"), None, "it takes 18.6 GB of memory, and the GPU has 16.0 GB free"),
        (Room(100 * GB, 16 * GB, "GPU"), "8bit", ""),  # 9.96 + 2
        (Room(100 * GB, 8 * GB, "machine"), "4bit", "it takes 8.6 GB of memory, and the machine has 8.0"),
        (Room(9 * GB, 64 * GB, "machine"), None, "16.6 GB are to come, and the disk has 9.0 GB free"),
    ],
)
def test_what_is_lacking(room: Room, quantize: str | None, words: str):
    found = lacking(SEVEN_B, room, quantize)
    assert found.startswith(words) and bool(found) == bool(words)


def test_what_is_here_already_needs_no_disk():
    assert lacking(Load(0, SEVEN_B.weights), Room(0, 24 * GB, "GPU")) == ""


@pytest.mark.parametrize(
    "room, words",
    [
        (Room(100 * GB, 16 * GB, "GPU"), "--quantize 8bit would fit"),
        (Room(100 * GB, 9 * GB, "GPU"), "--quantize 4bit would fit"),  # 6.64 + 2
        (Room(100 * GB, 8 * GB, "GPU"), "--preset qwen3-vl-2b would fit"),
        (
            Room(100 * GB, 12 * GB, "machine"),
            "--preset qwen3-vl-4b would fit",
        ),  # a CPU is not told to quantize
        (Room(0, 0, "machine"), "only a server elsewhere would do"),
    ],
)
def test_what_would_fit_instead(room: Room, words: str):
    assert what_fits(SEVEN_B, room, OTHERS) == words


def test_this_machine(tmp_path: Path):
    room = room_here("cpu", tmp_path / "not" / "there")
    assert room.place == "machine" and room.memory > 0 and room.disk > 0
