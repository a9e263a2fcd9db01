"""Training reports to nobody: a run as people launch it, with every look-up and connection written down.

python -m pytest tests/train/test_telemetry.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared.grpo_runs import make_rows
from tests.shared.tiny import save_tiny_reasoner

pytest.importorskip("trl")
REPO = Path(__file__).resolve().parents[2]

SPY = """import runpy, sys
told = open(sys.argv[1], "w", buffering=1)
def hook(event, args):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        told.write(f"{args[0]}\\n")
    if event == "socket.connect" and isinstance(args[1], tuple):
        told.write(f"{args[1][0]}\\n")
sys.addaudithook(hook)
sys.argv = sys.argv[2:]
sys.path.insert(0, "train")  # where Python looks first when a file of it is run
runpy.run_path(sys.argv[0], run_name="__main__")
"""
OWN = {"localhost", "127.0.0.1", "::1", "None", ""}


def train(tmp_path: Path, **environment: str) -> set[str]:
    """Whom a step of training asked for. The tests' own silence (CI, offline) is taken from it."""
    rows = make_rows(tmp_path)
    lines = [{"image": row["image"], "question": row["id"], "masks": [[[1, 1, 9, 1, 9, 9]]]} for row in rows]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, lines)))
    options = {
        "model_name_or_path": save_tiny_reasoner(tmp_path / "model"),
        "data": tmp_path,
        "output_dir": tmp_path / "run",
        "report_to": "none",
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 1,
        "num_generations": 4,
        "max_completion_length": 4,
        "max_steps": 1,
        "eval_strategy": "no",
        "eval_on_start": "false",
        "held_out": "",
        "load_best_model_at_end": "false",
    }
    argv = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    silent = ("CI", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "DISABLE_TELEMETRY")
    kept = {name: value for name, value in os.environ.items() if name not in silent}
    command = [sys.executable, "-c", SPY, str(tmp_path / "told"), "train/grpo.py", *argv]
    env = {**kept, **environment}
    done = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return set((tmp_path / "told").read_text().split("\n"))


@pytest.mark.slow
def test_a_step_of_training_asks_for_no_foreign_name(tmp_path):
    assert train(tmp_path) <= OWN


@pytest.mark.parametrize(
    ("name", "quiet"),
    [("HF_HUB_DISABLE_TELEMETRY", "1"), ("DO_NOT_TRACK", "1"), ("GRADIO_ANALYTICS_ENABLED", "False")],
)
@pytest.mark.parametrize("wish", [None, "0"])
def test_importing_the_package_turns_reports_off_unless_they_are_wished_for(name, quiet, wish):
    env = {key: value for key, value in os.environ.items() if key != name} | ({name: wish} if wish else {})
    code = f"import train, os; print(os.environ[{name!r}])"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, env=env, capture_output=True, text=True)
    assert done.stdout.strip() == (wish or quiet)
