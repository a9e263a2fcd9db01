"""The README tells the truth: its commands, its files, and its numbers.

python -m pytest tests/test_readme.py
python tests/test_readme.py                     # writes the measured numbers into the README
"""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
README = (REPO / "README.md").read_text(encoding="utf-8")
RESULTS = REPO / "assets" / "mini" / "results.json"

ROWS = {
    "mean IoU of the segmenter, given the true box and point": ("segmenter_miou_true_prompt", "{:.3f}"),
    "gIoU of the whole, from question to mask": ("pipeline_giou", "{:.3f}"),
    "answers that parse": ("answers_that_parse", "{:.1%}"),
    "median time from question to masks, one CPU core": ("median_seconds", "{:.2f} s"),
}


def commands() -> list[list[str]]:
    """The README's shell lines as words, comments left out."""
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    return [
        words
        for block in blocks
        for line in block.splitlines()
        if (words := shlex.split(line, comments=True))
    ]


def results_table() -> str:
    """The table of what was measured, as the README has to show it."""
    cards = json.loads(RESULTS.read_text(encoding="utf-8"))
    scenes = {split: cards[split]["scenes"] for split in ("test", "style") if split in cards}
    names = {"test": "unseen sprites and wordings", "style": "unseen drawing style"}
    lines = [
        "| | " + " | ".join(f"{names[split]} ({count:,} scenes)" for split, count in scenes.items()) + " |"
    ]
    lines.append("|---" * (1 + len(scenes)) + "|")
    for label, (key, form) in ROWS.items():
        lines.append(f"| {label} | " + " | ".join(form.format(cards[split][key]) for split in scenes) + " |")
    return "\n".join(lines)


def test_the_two_commands_stand_first():
    assert commands()[:2] == [["make", "demo"], ["make", "test"]]


@pytest.mark.parametrize("module, sources", [("segzero", "segzero/**/*.py"), ("app.py", "app.py")])
def test_its_options_exist(module: str, sources: str):
    known = "".join(path.read_text() for path in [*REPO.glob(sources), REPO / "segzero/cli/options.py"])
    mine = [words for words in commands() if words[0] == "python" and module in words]
    assert mine
    options = {word for words in mine for word in words if word.startswith("--")}
    assert not {option for option in options if f'"{option}"' not in known}


def test_its_modules_exist():
    modules = {words[2] for words in commands() if words[:2] == ["python", "-m"]}
    assert modules and not {name for name in modules if importlib.util.find_spec(name) is None}


def test_its_files_exist():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    named = re.findall(r"`((?:assets|benchmarks|docs|page|segzero|tests|train)/[\w./-]*|app\.py)`", README)
    assert not {name for name in {*links, *named} if not (REPO / name).exists()}


def test_its_numbers_are_the_measured_ones():
    if not RESULTS.exists():
        pytest.skip("the bundled models have not been measured yet")
    assert results_table() in README, "the README's table of results should read:\n" + results_table()


def write_results() -> None:
    """Put the measured numbers between the README's two marks."""
    head, _, rest = README.partition("<!-- measured -->\n")
    tail = rest.partition("<!-- /measured -->")[2]
    table = f"<!-- measured -->\n{results_table()}\n<!-- /measured -->"
    (REPO / "README.md").write_text(head + table + tail, encoding="utf-8")


if __name__ == "__main__":
    write_results()
