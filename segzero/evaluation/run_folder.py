"""The folder of an evaluation: what it is about, and the records so far, through kills and many processes.

    run = RunFolder(Path("runs/evaluate/mine"), settings, Process.of_environment())
    done = run.records()
    with run.open() as file: file.write(dump(record))
    run.finish(samples)                                    # process 0: waits for the others, then one file

Every process writes a file of its own and reads all of them, so they need not talk to each other.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from segzero.data import DatasetError, Sample
from segzero.evaluation.record import Record, read_records, write_records
from segzero.pictures import locked, write_whole

SAMPLES, SETTINGS, TOTALS = "samples.jsonl", "settings.json", "totals.json"
_POLL_S = 1.0


@dataclass(frozen=True)
class Process:
    """This process among those that a launcher started: its rank of how many, and its GPU's number."""

    rank: int = 0
    count: int = 1
    local_rank: int | None = None

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Process:
        """As `accelerate launch` and torchrun tell it; without a launcher the only one."""
        rank, count = int(environment.get("RANK", 0)), int(environment.get("WORLD_SIZE", 1))
        local = environment.get("LOCAL_RANK")
        return cls(rank, count, None if local is None or count == 1 else int(local))

    @property
    def device(self) -> str | None:
        """The GPU of a process of several; None, the usual choice, where there is none."""
        if self.local_rank is None:
            return None
        import torch  # brought by the models anyway

        return f"cuda:{self.local_rank}" if torch.cuda.is_available() else None

    def share(self, samples: Sequence[Sample]) -> Sequence[Sample]:
        """This process's part, in a row: questions about a picture follow each other, and stay together."""
        first, after = (len(samples) * rank // self.count for rank in (self.rank, self.rank + 1))
        return samples[first:after]


class RunFolder:
    """The files of one evaluation.

    settings: what has to be the same for a run to go on. Raises DatasetError when it is not, or when what the
    folder holds of it cannot be read.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], process: Process = Process()) -> None:
        self.folder, self.settings, self.process = folder, dict(settings), process
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / SETTINGS
        if path.exists():
            self._compare(_settings(path))
        write_json(path, self.settings)

    def records(self) -> dict[str, Record]:
        """All records of all processes so far, by id. Raises RecordError when a file is damaged."""
        found: dict[str, Record] = {}
        for path in sorted(self.folder.glob("samples*.jsonl")):
            for record in read_records(path):
                if record.status != "left_out" or record.id not in found:  # another process may have answered
                    found[record.id] = record
        return found

    def forget_left_out(self, samples: Sequence[Sample]) -> set[str]:
        """Take out the records of those samples that were left out before, so that they are tried again.

        Returns their ids. Each process looks after its own file, and the first one after all that are
        nobody's, so that `finish` waits for who tries.
        """
        asked, found = {sample.id for sample in samples}, set()
        others = {self._file_of(rank) for rank in range(self.process.count) if rank != self.process.rank}
        for path in set(self.folder.glob("samples*.jsonl")) - others:
            records = read_records(path)
            left_out = {r.id for r in records if r.status == "left_out"} & asked
            found |= left_out
            if left_out and (not self.process.rank or path == self._file_of(self.process.rank)):
                write_records(path, [r for r in records if r.status != "left_out" or r.id not in left_out])
        return found

    def _file_of(self, rank: int) -> Path:
        return self.folder / (SAMPLES if self.process.count == 1 else f"samples.{rank}.jsonl")

    @contextmanager
    def open(self) -> Iterator[TextIO]:
        """This process's own file, to append to, a line that a kill cut off removed.

        Raises LockedError when another process has it open: the same command, started twice.
        """
        path = self._file_of(self.process.rank)
        with locked(path, wait_s=0):
            if path.exists():
                data = path.read_bytes()
                whole = data.rfind(b"\n") + 1
                if whole < len(data):
                    os.truncate(path, whole)
            with path.open("a", encoding="utf-8") as file:
                yield file

    def finish(self, samples: Sequence[Sample]) -> list[Record]:
        """Wait until every sample has its record, then make one file of all, in the order of the data.

        Returns the samples' records. For the first process only: the others are to leave.
        """
        records = self.records()
        while not all(sample.id in records for sample in samples):
            time.sleep(_POLL_S)
            records = self.records()
        ordered = [records.pop(sample.id) for sample in samples]
        write_records(self.folder / SAMPLES, [*ordered, *records.values()])
        for path in self.folder.glob("samples.*.jsonl"):
            path.unlink()
        return ordered

    def _compare(self, before: Any) -> None:
        if before == self.settings:
            return
        changed = "; ".join(
            f"{name} was {before.get(name)!r} and is now {value!r}"
            for name, value in self.settings.items()
            if before.get(name) != value
        )
        raise DatasetError(f"{self.folder} holds another run ({changed}); name another --out, or remove it")


def _settings(path: Path) -> dict[str, Any]:
    """What a settings.json says. Raises DatasetError."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(
            f"{path} cannot be read as JSON ({type(error).__name__}); remove it, or name another --out"
        ) from error
    if not isinstance(settings, dict):
        raise DatasetError(f"{path} holds no settings of a run; name another --out")
    return settings


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, the whole of it or nothing."""
    write_whole(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def fingerprint(path: Path) -> str | None:
    """What tells whether data or weights have changed under their name; None for what is not on this disk.

    Of a file its content; of a folder the names, sizes and times of its weights.
    """
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    files = sorted([*path.glob("*.safetensors"), *path.glob("*.json")]) if path.is_dir() else []
    if not files:
        return None
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(stats).encode()).hexdigest()[:16]
