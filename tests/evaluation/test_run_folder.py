"""The files of a run, among several processes: python -m pytest -q tests/evaluation/test_run_folder.py"""

from __future__ import annotations

from pathlib import Path

import pytest

from segzero.evaluation import RecordError, RunFolder, read_records, record_line
from segzero.evaluation.record import Record
from segzero.pictures import LockedError


def test_the_same_run_twice_at_once_is_said_so(tmp_path: Path):
    with RunFolder(tmp_path, {}).open() as file:
        file.write(record_line(Record("1", "a.png", "a\u2028b?", "left_out", "no picture")))
        with (
            pytest.raises(LockedError, match="samples.jsonl is being written"),
            RunFolder(tmp_path, {}).open(),
        ):
            pass
    assert [record.question for record in read_records(tmp_path / "samples.jsonl")] == ["a\u2028b?"]


def test_a_line_that_nests_without_end_is_no_record(tmp_path: Path):
    (tmp_path / "samples.jsonl").write_text("[" * 100_000 + "\n")
    with pytest.raises(RecordError, match=r"samples.jsonl, line 1"):
        read_records(tmp_path / "samples.jsonl")
