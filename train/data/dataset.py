"""Training data for GRPO from one of three sources, as one kind of dataset.

    dataset, report = load("scenes", PRESETS["mini"], rows=512)                    # composed scenes
    dataset, report = load("corrections/", PRESETS["mini"])                        # your own pictures
    dataset, report = load("Ricky06662/refCOCOg_2k_840", PRESETS["seg-zero-7b"])   # a public set
    print(report)

Columns of the dataset:
    id          str
    prompt      [{"role": "user", "content": the dialect's prompt}]; the picture belongs before the text
    image       str, the picture's path; open it with segzero.pictures.picture.load_picture, squash it with
    to_frame solution    str, the true answer in pixels of the frame, in the preset's dialect frame_px
    int, that frame: rewards need it img_width, img_height   int, the original picture's size masks
    COCO run lengths of each true object in the upright picture; None where only boxes are known

Your own pictures are in the local format that evaluation reads too (segzero.data.dataset): a folder with a
data.jsonl, or with one .jsonl of another name, or that file itself. Each line is about one question:
    {"image": "photos/rain.jpg", "question": "What keeps me dry?", "masks": [MASK, …], "id": "7"}
    image       a file in the folder of the JSONL or below it; links that lead out of it are refused
    question    1 to 2000 characters
    masks       a MASK for each object that is meant, in the order to name them; [] when nothing matches
    id          optional, a text or number of its own, else the line's number; other keys are not looked at
A MASK is in pixels of the upright picture (as its EXIF turns it), and one of
    "masks/umbrella.png"                        a PNG of the picture's size, in the folder or below it; every
                                                pixel that is not 0 is the object
    {"size": [height, width], "counts": …}      COCO run lengths, packed in a string or as a list of numbers
    [[x1, y1, x2, y2, x3, y3, …], …]            COCO polygons
The box is the mask's extent, the point its centre (two for the single dialect), as in the public sets.

Rows that cannot be used are in the report, each with its reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import datasets

from segzero.contract import Preset
from segzero.data import DatasetError, LeftOut
from train.data.hub import hub_rows, undecoded
from train.data.local import local_rows
from train.data.rows import Row

SCENES = "scenes"  # the source that is no file
SCENE_ROWS = 512  # when nobody says how many
_NAMED = 5  # rows named for each reason when a report is printed
_UNREADABLE = (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError)
"""What datasets raises for a set that is not there, or whose files are damaged."""
_TEXT, _COUNT = datasets.Value("string"), datasets.Value("int32")
_FEATURES = datasets.Features(
    {
        "id": _TEXT,
        "prompt": [{"role": _TEXT, "content": _TEXT}],
        "image": _TEXT,
        "solution": _TEXT,
        "frame_px": _COUNT,
        "frame": _TEXT,
        "img_width": _COUNT,
        "img_height": _COUNT,
        "masks": [{"size": [_COUNT], "counts": _TEXT}],
    }
)


@dataclass(frozen=True)
class Report:
    """What became of a source's rows. str(report) counts those left out by reason and names some of each."""

    source: str
    used: int
    left_out: tuple[LeftOut, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.source}: {self.used:,} rows used, {len(self.left_out):,} left out"]
        for reason in dict.fromkeys(row.reason for row in self.left_out):
            rows = [row for row in self.left_out if row.reason == reason]
            named = [f"{row.where} ({row.detail})" if row.detail else row.where for row in rows[:_NAMED]]
            more = ["…"] if len(rows) > _NAMED else []
            lines.append(f"  {len(rows):,} × {reason}: {', '.join(named + more)}")
        return "\n".join(lines)


def load(
    source: str | Path,
    preset: Preset,
    *,
    rows: int | None = None,
    seed: int = 0,
    split: str = "train",
    fits: Callable[[str], bool] | None = None,
    folder: Path = Path("runs/data"),
) -> tuple[datasets.Dataset, Report]:
    """The rows of a source for a preset's frame and dialect, and what became of those that are not there.

    source: "scenes"; a JSONL file or a folder with some; a set on the Hub with the public sets' columns, or a
        folder that holds a copy of one.
    rows: at most so many, the first; None for all there are (512 scenes).
    seed: which scenes. split: the set's; for scenes train, val, test or style.
    fits: whether a prompt is short enough; None takes them all.
    folder: where pictures that are no files yet are written.
    Raises DatasetError when there is no source or no row of it can be used.
    """
    found = _rows(source, preset, rows, seed, split, folder)
    kept: list[Row] = []
    left_out: list[LeftOut] = []
    for row in found:
        if isinstance(row, Row) and fits is not None and not fits(preset.dialect.prompt(row.question)):
            row = LeftOut(row.id, "the prompt is too long", f"a question of {len(row.question):,} characters")
        (kept if isinstance(row, Row) else left_out).append(row)
        if len(kept) == rows:
            break
    report = Report(str(source), len(kept), tuple(left_out))
    if not kept:
        raise DatasetError(f"no row can be used. {report}")
    return datasets.Dataset.from_list([_record(row, preset) for row in kept], features=_FEATURES), report


def _rows(
    source: str | Path, preset: Preset, rows: int | None, seed: int, split: str, folder: Path
) -> Iterator[Row | LeftOut]:
    path = Path(source)
    if source == SCENES:
        from train.data.scenes import composed, scene_rows  # brings the world and OpenCV: only who composes
        from train.mini.world import SPLITS

        if split not in SPLITS:
            raise DatasetError(f"scenes have no split {split!r}, only {', '.join(SPLITS)}")
        return scene_rows(composed(rows or SCENE_ROWS, seed, split), preset, folder / SCENES)
    named = path.suffix == ".jsonl" or str(source).startswith((".", "/"))
    if named and not path.exists():
        raise DatasetError(f"{source} is not there; check its name")
    if path.is_file() or next(path.glob("*.jsonl"), None):
        return local_rows(path, preset)
    return hub_rows(_public_set(str(source), split), preset, folder / "pictures")


def _public_set(source: str, split: str) -> datasets.Dataset:
    """A set of the Hub, a copy of its files, or what `save_to_disk` wrote; its pictures not decoded."""
    try:
        if (Path(source) / "state.json").is_file():
            dataset = datasets.load_from_disk(source)
        elif (Path(source) / "dataset_dict.json").is_file():
            dataset = datasets.load_from_disk(source)[split]
        else:
            dataset = datasets.load_dataset(source, split=split)
        return undecoded(dataset)
    except (datasets.exceptions.DatasetsError, *_UNREADABLE) as error:
        why = str(error).strip().split("\n")[0] or type(error).__name__
        raise DatasetError(
            f"{source} holds no data to train on, neither JSONL nor a data set: {why}"
        ) from error


def _record(row: Row, preset: Preset) -> dict:
    return {
        "id": row.id,
        "prompt": [{"role": "user", "content": preset.dialect.prompt(row.question)}],
        "image": row.image,
        "solution": row.solution,
        "frame_px": preset.frame.numbers_px,
        "frame": json.dumps(preset.frame.settings),
        "img_width": row.wh[0],
        "img_height": row.wh[1],
        "masks": None if row.masks is None else list(row.masks),
    }
