"""How the program ends when it is not let finish: python -m pytest -q tests/cli/test_stopping.py

In processes of their own, on the bundled miniature: quietly, with 130 for Ctrl-C, 1 for a disk that is full
or a reader that has gone, never by a crash.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared.fakes import result_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here"),
]
QUESTION = "What could keep me dry?"
ASK = ["-m", "segzero", "ask", "assets/examples/campfire.webp", QUESTION]
ASK_MANY = ["-m", "segzero", "ask", "assets/examples", QUESTION]


def start(repo: Path, args: list[str], **streams) -> subprocess.Popen:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen([sys.executable, *args], cwd=repo, bufsize=0, preexec_fn=_heed_ctrl_c, **streams)


def _heed_ctrl_c() -> None:
    """Tests in a shell's background are started deaf to it, and so would be what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted(repo: Path, args: list[str], word: bytes) -> tuple[int, str]:
    """Ctrl-C once the word has been said, on either stream: the exit code and all that was said."""
    process = start(repo, args, stderr=subprocess.STDOUT)
    said = b""
    while word not in said and (piece := os.read(process.stdout.fileno(), 4096)):
        said += piece
    process.send_signal(signal.SIGINT)
    said += process.communicate(timeout=120)[0]
    return process.returncode, said.decode()


def data_of(repo: Path, folder: Path) -> list[str]:
    """A data set of a picture and 40 questions, as options."""
    rows = "".join(f"campfire.webp,Question {number}?,\n" for number in range(40))
    (folder / "campfire.webp").write_bytes((repo / "assets/examples/campfire.webp").read_bytes())
    (folder / "q.csv").write_text("image,question,mask\n" + rows)
    prepare = ["-m", "segzero", "prepare", "table", str(folder / "q.csv"), "--out", str(folder / "data")]
    assert start(repo, prepare).wait() == 0
    return ["--data", str(folder / "data"), "--out", str(folder / "run"), "--batch", "4"]


@pytest.mark.parametrize(
    ("args", "word"),
    [(ASK, b"Some"), (ASK, b"100%"), (ASK_MANY, b"| 1/"), (["app.py", "--port", "7986"], b"Running on")],
)
def test_ctrl_c(repo: Path, args: list[str], word: bytes):
    code, said = interrupted(repo, args, word)
    assert code == 130, said
    assert "Traceback" not in said and "terminate" not in said


def test_ctrl_c_in_an_evaluation(repo: Path, tmp_path: Path):
    code, said = interrupted(repo, ["-m", "segzero", "evaluate", *data_of(repo, tmp_path)], b"| 1/")
    assert code == 130 and said.endswith("\nStopped.\n"), said
    assert "Traceback" not in said and "terminate" not in said


@pytest.mark.parametrize("args", [ASK, ASK_MANY, ["-m", "segzero", "ask", "--help"]])
def test_a_reader_that_has_gone(repo: Path, args: list[str]):
    process = start(repo, args)
    process.stdout.close()
    said = process.stderr.read().decode()
    assert process.wait() in (0, 1), said
    for word in ("Traceback", "terminate", "Broken pipe", "Exception ignored"):
        assert word not in said


def test_a_full_disk_behind_every_command(repo: Path, tmp_path: Path):
    import json

    from PIL import Image

    from segzero.pictures import to_json

    options = data_of(repo, tmp_path)
    Image.new("RGB", (40, 20)).save(tmp_path / "one.png")
    (tmp_path / "one.json").write_text(json.dumps(to_json(result_of((40, 20), "What is left?"))))
    again = ["prepare", "table", str(tmp_path / "q.csv"), "--out", str(tmp_path / "again")]
    for args in (
        ASK[2:],
        ["replay", str(tmp_path / "one.json"), str(tmp_path / "one.png")],
        again,
        ["evaluate", *options, "--limit", "2"],
    ):
        with open("/dev/full", "w") as full:
            process = start(repo, ["-m", "segzero", *args], stdout=full)
            said = process.communicate(timeout=120)[1].decode()
        assert process.returncode == 1, said
        assert "No space left on device" in said
        for word in ("Traceback", "terminate", "Exception ignored"):
            assert word not in said
    with open("/dev/full", "w") as full:
        assert start(repo, ASK, stdout=full, stderr=full).wait() == 1
