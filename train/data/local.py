"""Rows from data in the local format, which evaluation reads too: a folder of pictures with a JSONL.

rows = list(local_rows(Path("corrections"), PRESETS["mini"]))
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from segzero.contract import Preset, Target, mask_to_box, mask_to_points
from segzero.data import LeftOut, Sample, leave_out, load_sample, read_samples
from segzero.pictures import encode_mask, path_inside
from train.data.rows import Row, Unusable, frame_solution


def local_rows(source: Path, preset: Preset) -> Iterator[Row | LeftOut]:
    """A row for every line that is not blank, the lines that are none first. Raises DatasetError.

    Each picture is decoded once here, so that a damaged one is found now and not in the middle of a run.
    """
    samples, refused = read_samples(source)
    yield from refused
    for sample in samples:
        try:
            yield _row(sample, preset)
        except Unusable as error:
            yield error.left_out(sample.id)
        except ValueError as error:  # of `load`: a file that is not there or not whole
            yield leave_out(sample.id, error)


def _row(sample: Sample, preset: Preset) -> Row:
    """Boxes and points as in the public sets: a mask's extent, and the centres of its widest parts."""
    loaded = load_sample(sample)
    count = preset.dialect.points_per_target
    targets = [Target(mask_to_box(mask), mask_to_points(mask, count)) for mask in loaded.masks]
    return Row(
        id=sample.id,
        image=str(path_inside(sample.folder, sample.image)),
        question=sample.question,
        solution=frame_solution(targets, loaded.picture.size, preset),
        wh=loaded.picture.size,
        masks=tuple(encode_mask(mask) for mask in loaded.masks),
    )
