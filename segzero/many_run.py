"""One question about many pictures: the reasoner answers in batches, the segmenter marks beside it.

    for index, found in run_many(reasoner, segmenter, preset, paths, question, at_once=16): ...

`Pipeline.run_each` stands on it. Pictures are read as there is room for them, on the reasoner's thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter

import numpy as np
from PIL import Image

from segzero.contract import Preset, Result
from segzero.pictures import PictureError, load_picture
from segzero.reasoner import Request
from segzero.segmenter import SegmenterError

Found = Result | PictureError | SegmenterError
"""What came of a picture; an error is of that picture alone."""


@dataclass(frozen=True, eq=False)
class _Asked:
    """A picture that is being asked about. loading_s: what reading it took. began: when it was asked."""

    picture: Image.Image
    loading_s: float
    began: float


def run_many(
    reasoner,
    segmenter,
    preset: Preset,
    pictures: Iterable[Path | Image.Image],
    question: str,
    *,
    at_once: int,
) -> Iterator[tuple[int, Found]]:
    """Yield (which picture, what came of it) as each ends, in any order. Raises what the models raise.

    at_once: how many answers are written at a time. Seconds of "reasoning" are from asking to the answer's
    end, among the others of its batch.
    """
    asked: dict[int, _Asked] = {}
    refused: SimpleQueue[tuple[int, PictureError]] = SimpleQueue()
    prompt = preset.dialect.prompt(question)

    def requests() -> Iterator[Request]:
        for index, source in enumerate(pictures):
            started = perf_counter()
            try:
                picture = load_picture(source)
            except PictureError as error:
                refused.put((index, error))
                continue
            asked[index] = _Asked(picture, perf_counter() - started, perf_counter())
            yield Request(index, preset.frame.show(picture), prompt)

    for index, text in reasoner.answer_all(requests(), at_once):
        yield index, _found(segmenter, preset, asked.pop(index), question, text)
        yield from _drained(refused)
    yield from _drained(refused)


def _found(segmenter, preset: Preset, asked: _Asked, question: str, text: str) -> Result | SegmenterError:
    picture, reasoned = asked.picture, perf_counter()
    text = text.encode("utf-8", "replace").decode("utf-8")  # a server may send halves of characters
    answer = preset.parse(text, picture.size)
    try:
        found = segmenter.segment(picture, answer.targets)
    except SegmenterError as error:
        return error
    ended, reasoning = perf_counter(), reasoned - asked.began
    seconds = {
        "picture": asked.loading_s,
        "first_token": 0.0,
        "reasoning": reasoning,
        "embedding": 0.0,
        "segmentation": ended - reasoned,
        "total": asked.loading_s + ended - asked.began,
    }
    return Result(
        question=question,
        preset=preset.name,
        image_wh=picture.size,
        status=answer.status,
        problem=answer.problem,
        thinking=answer.thinking,
        raw=text,
        targets=list(answer.targets),
        masks=found.masks,
        scores=np.asarray(found.scores, np.float32),
        seconds=seconds,
        picture=picture,
    )


def _drained(refused: SimpleQueue) -> Iterator[tuple[int, PictureError]]:
    while not refused.empty():
        yield refused.get()
