"""What makes a scoring function a reward function of TRL's.

reward = per_answer(lambda text, solution, frame_px: 1.0 if "box" in text else 0.0)
reward([[{"role": "assistant", "content": "a box"}]], solution=["[]"])  # [1.0]
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from segzero.contract import SEG_ZERO_7B

PUBLISHED_FRAME_PX = SEG_ZERO_7B.frame.numbers_px
"""The frame of the public sets and of all thresholds; a column `frame_px` names another."""

Reward = Callable[..., "list[float | None]"]
LogMetric = Callable[[str, float], None]


def per_answer(score: Callable[[str, str, int], float]) -> Reward:
    """The TRL reward function of score(text, solution, frame_px), under the same name."""

    @functools.wraps(score)
    def reward(
        completions: Sequence,
        solution: Sequence[str],
        frame_px: Sequence[int] | None = None,
        **columns: object,
    ) -> list[float | None]:
        frames = frames_of(frame_px, len(completions))
        rows = zip(completions, solution, frames, strict=True)
        return [score(text_of(completion), truth, frame) for completion, truth, frame in rows]

    return reward


def frames_of(frame_px: Sequence[int] | None, count: int) -> Sequence[int]:
    """The frame of each row: the column, or the published one where there is no column."""
    return [PUBLISHED_FRAME_PX] * count if frame_px is None else frame_px


def text_of(completion: Sequence[dict]) -> str:
    """What the model wrote: a completion is a list of one message, the assistant's."""
    return completion[0]["content"]


def log_share(log_metric: LogMetric | None, name: str, flags: Sequence[bool]) -> None:
    """Log in which share of a batch a flag is set, where the trainer takes metrics."""
    if log_metric is not None and flags:
        log_metric(name, sum(flags) / len(flags))
