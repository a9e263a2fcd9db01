"""What the benchmarks of the evaluation share: composed scenes, and tables in the docs.

with scenes(200) as samples: ...                    # 200 test scenes, composed anew, one question about each
write_table("voting", lines)                        # between <!-- voting --> and <!-- /voting -->
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from segzero.data import Sample, read_samples, write_dataset
from train.mini.export import items

DOCS = Path(__file__).resolve().parent.parent / "docs" / "evaluation.md"
SEED = 20_260_000


@contextmanager
def scenes(count: int, questions: int = 1) -> Iterator[list[Sample]]:
    """`count` test scenes that no training saw, with so many questions about each."""
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder) / "scenes", items("test", count, questions, SEED), count * questions)
        yield read_samples(Path(folder) / "scenes")[0]


def write_table(name: str, lines: Sequence[str], path: Path = DOCS) -> None:
    """Put lines between a document's marks of that name. Raises ValueError when it has none."""
    text = path.read_text(encoding="utf-8")
    before, after = f"<!-- {name} -->", f"<!-- /{name} -->"
    if text.count(before) != 1 or text.count(after) != 1:
        raise ValueError(f"{path} does not hold {before} and {after} once")
    inside = "\n".join([before, *lines, after])
    marks = re.escape(before) + ".*?" + re.escape(after)
    path.write_text(re.sub(marks, lambda _: inside, text, flags=re.DOTALL), encoding="utf-8")
