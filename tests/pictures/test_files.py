"""Files that appear whole or not at all: python -m pytest -q tests/pictures/test_files.py"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from segzero.pictures import LockedError, keep_whole, locked, write_whole, written_whole


def test_what_fails_leaves_what_was_there(tmp_path: Path):
    path = tmp_path / "a.json"
    write_whole(path, "grün\u2028")
    with pytest.raises(RuntimeError), written_whole(path) as part:
        assert part.suffix == ".json" and part.parent == tmp_path
        part.write_text("half")
        raise RuntimeError
    assert path.read_bytes() == "grün\u2028".encode() and list(tmp_path.iterdir()) == [path]


def test_a_link_stays_one_and_a_pipe_is_written_to(tmp_path: Path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_whole(tmp_path / "link", b"1")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"1"
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=write_whole, args=(tmp_path / "pipe", b"through"))
    writer.start()
    assert (tmp_path / "pipe").read_bytes() == b"through"
    writer.join()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path, b"1")


def test_what_is_there_is_written_again_only_when_it_is_not_whole(tmp_path: Path):
    path = tmp_path / "a"
    keep_whole(path, b"whole")
    before = path.stat().st_ino
    keep_whole(path, b"whole")
    assert path.stat().st_ino == before
    path.write_bytes(b"who")
    keep_whole(path, b"whole")
    assert path.read_bytes() == b"whole"


def test_a_file_that_another_writes_is_said_so(tmp_path: Path):
    path = tmp_path / "new" / "data.jsonl"
    with (
        locked(path),
        pytest.raises(LockedError, match="data.jsonl is being written by another process; wait"),
        locked(path, wait_s=0),
    ):
        pass
    with locked(path, wait_s=0):  # free again
        pass
