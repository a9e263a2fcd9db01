"""One sample scored: its answers read, what they point at marked, and all of it held against the truth.

attempts = attempt_each(pipeline, [(loaded.picture, text) for text in texts])
record = score_sample(sample, loaded, attempts, voting=len(texts) > 1)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from segzero.contract import Answer, Target, mask_to_box
from segzero.data import LoadedSample, Sample
from segzero.evaluation.metrics import hull_iou, overlap
from segzero.evaluation.record import Record
from segzero.pictures import encode_mask
from segzero.pipeline import Pipeline
from segzero.segmenter import Masks, SegmenterError
from segzero.voting import OF_MASKS, OF_OBJECTS, ONE, Scored, Vote, majority_objects, vote


@dataclass(frozen=True, eq=False)
class Attempt:
    """One answer. objects: the mask of each target and its score, None when it failed. mask: all of them,
    (H, W) bool, None when it failed. by_mercy: see Record."""

    text: str
    status: str
    problem: str
    targets: tuple[Target, ...]
    objects: tuple[Scored, ...] | None
    mask: np.ndarray | None
    by_mercy: bool


def attempt_each(pipeline: Pipeline, answers: Sequence[tuple[Image.Image, str]]) -> list[Attempt]:
    """Read answers about upright pictures, and mark what they point at, all together."""
    preset = pipeline.preset
    said = []
    for picture, text in answers:
        text = text.encode("utf-8", "replace").decode("utf-8")  # a server may send halves of characters
        said.append((text, preset.parse(text, picture.size)))
    pairs = zip(answers, said, strict=True)
    pointed = [(picture, each.targets) for (picture, _), (_, each) in pairs if each.targets]
    marked = iter(pipeline.segmenter.segment_each(pointed))
    attempts = []
    for (picture, _), (text, each) in zip(answers, said, strict=True):
        found = next(marked) if each.targets else None
        released = preset.dialect.released(text, preset.frame, picture.size)
        by_mercy = each.status != "unreadable" and released != list(each.targets)
        attempts.append(_attempt(picture, text, each, found, by_mercy))
    return attempts


def _attempt(
    picture: Image.Image, text: str, answer: Answer, found: Masks | SegmenterError | None, by_mercy: bool
) -> Attempt:
    if isinstance(found, SegmenterError):
        return Attempt(text, "segmenter_error", str(found), answer.targets, None, None, by_mercy)
    if found is None:
        unreadable = answer.status == "unreadable"
        objects, empty = (None, None) if unreadable else ((), np.zeros(picture.size[::-1], bool))
        return Attempt(text, answer.status, answer.problem, (), objects, empty, by_mercy)
    objects = tuple((mask, float(score)) for mask, score in zip(found.masks, found.scores, strict=True))
    mask = found.masks.any(axis=0)
    return Attempt(text, answer.status, answer.problem, answer.targets, objects, mask, by_mercy)


def score_sample(
    sample: Sample, loaded: LoadedSample, attempts: Sequence[Attempt], *, voting: bool
) -> Record:
    """The record of a sample: its one answer, or what its answers vote for, held against the truth."""
    chosen, voted = attempts[0], None
    if voting and any(each.mask is not None for each in attempts):
        voted = vote([each.mask for each in attempts])
        chosen = attempts[voted.medoid]
        chosen = replace(chosen, mask=voted.masks[OF_MASKS[0]])
    mask = np.zeros(loaded.truth.shape, bool) if chosen.mask is None else chosen.mask
    boxes = [(x1, y1, x2 + 1, y2 + 1) for x1, y1, x2, y2 in map(mask_to_box, loaded.masks)]
    record = record_of(
        sample,
        status=chosen.status,
        problem=chosen.problem,
        raw=chosen.text,
        targets=_plain(chosen),
        overlap=overlap(mask, loaded.truth, loaded.ignore),
        box_iou=hull_iou([target.box_xyxy for target in chosen.targets], boxes) if boxes else None,
        mask=encode_mask(mask),
        by_mercy=chosen.by_mercy,
    )
    if loaded.ignore is not None:
        record = replace(record, foreground=overlap(mask, loaded.truth | loaded.ignore))
    return _with_votes(record, loaded, attempts, voted) if voting else record


def _with_votes(
    record: Record, loaded: LoadedSample, attempts: Sequence[Attempt], voted: Vote | None
) -> Record:
    """The record with what each rule of voting, and the first answer alone, would have given; failures give
    nothing."""
    masks = {}
    if voted is not None:
        objects = majority_objects([each.objects for each in attempts], loaded.truth.shape)
        masks = {**voted.masks, OF_OBJECTS: objects}
    if attempts[0].mask is not None:
        masks[ONE] = attempts[0].mask
    return replace(
        record,
        answers=tuple(each.text for each in attempts),
        confidence=0.0 if voted is None else voted.agreement,
        votes={rule: overlap(mask, loaded.truth, loaded.ignore) for rule, mask in masks.items()},
    )


def _plain(chosen: Attempt) -> tuple[dict, ...]:
    """The targets as a record has them; without scores where the segmenter failed."""
    failed = chosen.objects is None
    scores = [None] * len(chosen.targets) if failed else [score for _, score in chosen.objects]
    return tuple(
        ({"label": target.label} if target.label else {})
        | {
            "box_xyxy": list(target.box_xyxy),
            "points_xy": [list(point) for point in target.points_xy],
            "score": score,
        }
        for target, score in zip(chosen.targets, scores, strict=True)
    )


def record_of(sample: Sample, **given) -> Record:
    """A record with what the sample says of itself, and what is given."""
    return Record(
        id=sample.id,
        picture=sample.image,
        question=sample.question,
        kind=sample.kind,
        text=sample.text,
        expression=sample.expression,
        **given,
    )
