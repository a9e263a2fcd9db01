"""The bundled examples: a picture and a question each, listed in assets/examples/examples.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "examples"


@dataclass(frozen=True)
class Example:
    picture: Path
    question: str


def read_examples(folder: Path = FOLDER) -> list[Example]:
    """The examples in the order of the file; none where there is no such file."""
    listing = folder / "examples.json"
    if not listing.exists():
        return []
    records = json.loads(listing.read_text("utf-8"))
    return [Example(folder / record["picture"], record["question"]) for record in records]
