"""load_picture at its limits, each in its own process: python -m pytest -q tests/pictures/test_limits.py"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PROGRAM = """
import resource, sys
from segzero.pictures import PictureError, load_picture
try:
    print(load_picture(sys.argv[1]).size)
except PictureError as error:
    print(error)
used = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss, which begins at the size of the process that started this one.
(peak,) = (int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak * 1024 // 1_000_000, used.ru_utime + used.ru_stime)
"""


# What is as large as its kind may be. Seconds are of the processor, three times what was asked for, because
# machines differ; megabytes do not.
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
@pytest.mark.parametrize(
    ("mode", "wh", "name", "options", "size"),
    [
        ("RGB", (11000, 8000), "a.png", {"compress_level": 1}, (11000, 8000)),
        ("RGBA", (8300, 6000), "a.png", {"compress_level": 1}, (8300, 6000)),
        ("I;16", (11100, 6000), "a.png", {"compress_level": 1}, (11100, 6000)),
        ("RGB", (11000, 8000), "a.jpg", {"exif": 6}, (4000, 5500)),
        ("RGB", (11000, 8000), "a.jpg", {"progressive": True}, (5500, 4000)),
        ("RGB", (5600, 4000), "a.webp", {"method": 0}, (5600, 4000)),
        ("RGB", (8000, 6000), "a.tif", {"compression": "tiff_lzw"}, (8000, 6000)),
    ],
)
def test_no_more_than_500_megabytes(tmp_path: Path, repo: Path, mode: str, wh, name: str, options, size):
    width, height = wh
    if mode == "I;16":
        image = Image.fromarray(np.full((height, width), 40_000, np.uint16))
    else:
        image = Image.effect_noise((1000, 1000), 50).convert(mode).resize(wh)
    if "exif" in options:
        exif = Image.Exif()
        exif[0x0112] = options["exif"]
        options = {"exif": exif}
    image.save(tmp_path / name, **options)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / name)], cwd=repo, capture_output=True, text=True
    )
    got, used = done.stdout.splitlines()
    megabytes, seconds = used.split()
    assert got == str(size), done.stderr
    assert int(megabytes) <= 500 and float(seconds) < 9
