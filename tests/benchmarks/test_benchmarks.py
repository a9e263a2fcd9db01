"""What the benchmarks of the evaluation count and write.

python -m pytest tests/benchmarks/test_benchmarks.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.composed import DOCS, write_table
from benchmarks.voting import as_table, compare_rules
from segzero.data import read_samples, write_dataset
from segzero.pipeline import Pipeline
from tests.shared.evaluating import ITEMS, LEFT, Reasoner, Segmenter
from tests.shared.scripted import PRESET


class Sure(Reasoner):
    """Says the same every time it is drawn."""

    drawn = (LEFT, LEFT, LEFT)


def test_voting_is_held_against_one_greedy_answer(tmp_path: Path):
    write_dataset(tmp_path / "data", ITEMS)
    samples, _ = read_samples(tmp_path / "data")
    pipeline = Pipeline(Sure(), Segmenter(), PRESET)
    found = compare_rules(pipeline, samples, [3], at_once=2, temperature=0.7)
    assert found["questions"] == 6 and found["greedy"]["gIoU"]["value"] == pytest.approx(3 / 6)  # a, c and f
    drawn = found["answers 3"]
    assert drawn["gIoU"]["weighted"]["value"] == pytest.approx(3 / 6)  # a, d and f
    assert drawn["gain"]["medoid"]["value"] == 0.0
    assert drawn["agreement"] == pytest.approx((1 + 1 + 1 / 3 + 1 / 3 + 0 + 1) / 6, abs=1e-4)
    found["greedy"]["cpu_seconds"], drawn["cpu_seconds"] = 0.1, 0.25
    lines = as_table(found)
    assert lines[2].startswith("| 1, greedy | | 50.0 [") and lines[2].endswith("| | 0.100 s |")
    assert lines[3].startswith("| 3 | weighted | 50.0 [") and lines[3].endswith("| 0.250 s (2.5 x) |")
    assert lines[6].startswith("| 3 | majority_objects | 50.0 [") and len(lines) == 7


def test_a_table_takes_the_place_of_the_last_one(tmp_path: Path):
    path = tmp_path / "a.md"
    path.write_text("above\n<!-- speed -->\nold\n<!-- /speed -->\nbelow\n")
    write_table("speed", ["| \\1 |", "| 2 |"], path)
    assert path.read_text() == "above\n<!-- speed -->\n| \\1 |\n| 2 |\n<!-- /speed -->\nbelow\n"
    with pytest.raises(ValueError, match="voting"):
        write_table("voting", [], path)


@pytest.mark.parametrize("name", ["speed", "voting"])
def test_the_docs_have_room_for_the_tables(name: str):
    text = DOCS.read_text(encoding="utf-8")
    assert text.count(f"<!-- {name} -->") == text.count(f"<!-- /{name} -->") == 1
    assert "weights `" in text.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]
