"""The first release's rewards for a model that writes its successor's dialect.

    rewards = [in_single_dialect(reward) for reward in RECIPES["seg_zero"]]

The mini answers with a list, [{"bbox_2d": …, "point_2d": …}]; the five strict rewards want one object with a
bbox, points_1 and points_2. Before they are paid, each object of an answer gets these keys, its one point
standing for both; so does the truth. All else about the text stays as it was written, and the reference's
functions read it as they read any text: they look at the first object only, so a list of three is paid like
its first, and what is broken stays broken.

Where nothing matches, the first release has no rows at all, and its functions no truth to read. What they
would have paid follows from how they are written: nothing for box and points, whatever is said; and for the
form, which does not look at the truth, 2 for a box that is not there but 1 for an honest [], which holds no
object. So honesty costs one of five, and that is what the comparison of rewards shows.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from segzero.contract import MULTI, SINGLE, Target
from train.rewards import Reward, answer_format, frames_of, text_of, thinking_format
from train.solution import write_solution

_POINT = re.compile(r'"point_2d"(\s*:\s*)(\[[^\[\]]*\])')
_OF_FORM = (thinking_format.__name__, answer_format.__name__)


def rewritten(text: str) -> str:
    """An answer's text with the single dialect's keys."""
    return _POINT.sub(r'"points_1"\1\2, "points_2"\1\2', text.replace('"bbox_2d"', '"bbox"'))


def single_solution(solution: str) -> str | None:
    """The same truth in the single dialect; None where nothing matches. Raises ValueError for several."""
    targets = MULTI.read_solution(solution)
    if not targets:
        return None
    doubled = [Target(target.box_xyxy, target.points_xy * 2) for target in targets]
    return write_solution(doubled, SINGLE)


def in_single_dialect(reward: Reward) -> Reward:
    """A reward function of the single dialect, for answers and solutions of the other; under its own name."""

    @functools.wraps(reward)
    def paid(
        completions: Sequence,
        solution: Sequence[str],
        frame_px: Sequence[int] | None = None,
        **columns: object,
    ) -> list[float | None]:
        texts = [[{"role": "assistant", "content": rewritten(text_of(each))}] for each in completions]
        truths = [single_solution(each) for each in solution]
        if reward.__name__ in _OF_FORM:
            return reward(texts, solution, frame_px=frame_px, **columns)
        rows = zip(texts, truths, frames_of(frame_px, len(texts)), strict=True)
        return [
            0.0 if truth is None else reward([text], [truth], frame_px=[frame])[0]
            for text, truth, frame in rows
        ]

    return paid
