"""Ground truth as a training set writes it: one string, in pixels of the frame, in either dialect.

    from train.solution import read_solution, write_solution
    dialect, targets = read_solution("<box>(10,20),(30,40)</box><points>(15,25),(20,30)</points>")
    write_solution(targets, dialect)

The strings are those of the public sets; reading them is the dialects' own work.
"""

from __future__ import annotations

from collections.abc import Sequence

from segzero.contract import MULTI, SINGLE, Dialect, Target


def read_solution(text: str) -> tuple[Dialect, list[Target]]:
    """The dialect that a solution is written in, and its targets in frame pixels. Raises ValueError."""
    dialect = SINGLE if "<box>" in text else MULTI
    return dialect, dialect.read_solution(text)


def write_solution(targets: Sequence[Target], dialect: Dialect) -> str:
    """The solution string of targets in frame pixels, rounded.

    Raises ValueError for what the dialect cannot say: the single one says exactly one target with two points.
    """
    answer = dialect.write(targets)
    if dialect is not SINGLE:
        return answer  # this dialect's sets have the answer itself as their solution
    target = targets[0]
    x1, y1, x2, y2 = map(round, target.box_xyxy)
    points = ",".join(f"({round(x)},{round(y)})" for x, y in target.points_xy)
    return f"<box>({x1},{y1}),({x2},{y2})</box><points>{points}</points>"
