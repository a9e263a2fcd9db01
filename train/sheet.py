"""A contact sheet: what the model answered at a step, group by group, as one HTML file without scripts.

    show = ContactSheets(Path("runs/grpo/sheets"), every=10)
    show(step, rollouts)  # as a Trainer calls it; writes sheets/step-000010.html

Each picture with the boxes and points of all its answers, the truth in white, and beneath it the answers, the
best paid first, with what each reward paid.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from segzero.contract import Frame, Target, parse_answer
from segzero.pictures import PALETTE, color_of, load_picture
from train.solution import read_solution
from train.trainer import Rollout

PICTURE_PX = 360  # of the longer side
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem; color: #1d1d1f; background: #fff; }
section { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 1.5rem; }
section { border-top: 1px solid #ccc; padding: 1.5rem 0; }
figure { position: relative; margin: 0; } img { display: block; }
figure svg { position: absolute; inset: 0; width: 100%; height: 100%; }
rect, path { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
path { stroke-width: 8; stroke-linecap: round; }
.answers { flex: 1 1 28rem; } h2 { font-size: 1rem; margin: 0 0 .5rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .6rem; text-align: right; vertical-align: top; }
:is(td, th):last-child { text-align: left; min-width: 20rem; max-width: 40rem; overflow-wrap: anywhere; }
i { display: inline-block; width: .8em; height: .8em; box-sizing: border-box; }
"""


class ContactSheets:
    """Writes a sheet for every `every` steps into a folder."""

    def __init__(self, folder: Path, every: int) -> None:
        self._folder, self._every = folder, every

    def __call__(self, step: int, rollouts: Sequence[Rollout]) -> None:
        if step % self._every:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"step-{step:06d}.html"
        path.write_text(sheet(f"Answers at step {step}", rollouts), encoding="utf-8")


def sheet(title: str, rollouts: Sequence[Rollout]) -> str:
    """The page of some rollouts; those of a group stand side by side in the list."""
    groups = [list(group) for _, group in groupby(rollouts, key=lambda rollout: rollout.row["id"])]
    body = "\n".join(_group(group) for group in groups)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style>\n<h1>{escape(title)}</h1>\n{body}\n</html>\n"
    )


def _group(rollouts: Sequence[Rollout]) -> str:
    row = rollouts[0].row
    before, after = read_solution(row["solution"])[0].ask
    question = row["prompt"][0]["content"].removeprefix(before).removesuffix(after)
    best_first = sorted(rollouts, key=_total, reverse=True)
    names = list(best_first[0].rewards)
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = "\n".join(_line(index, rollout) for index, rollout in enumerate(best_first))
    return (
        f'<section>{_figure(row, best_first)}<div class="answers"><h2>{escape(question)}</h2><table>'
        f"<tr><th></th><th>reward</th>{head}<th>answer</th></tr>\n{lines}</table></div></section>"
    )


def _line(index: int, rollout: Rollout) -> str:
    cells = "".join(f"<td>{_number(value)}</td>" for value in rollout.rewards.values())
    fill = "border:.25em dotted" if _again(index) else "background:"
    color = f'<td><i style="{fill} {color_of(index)}"></i></td>'
    return f"<tr>{color}<td>{_number(_total(rollout))}</td>{cells}<td>{escape(rollout.text)}</td></tr>"


def _figure(row, rollouts: Sequence[Rollout]) -> str:
    """The picture, and over it boxes and points in pixels of the frame, stretched along with it."""
    frame = row["frame_px"]
    dialect, truth = read_solution(row["solution"])
    marks = "".join(_marks(target, "#fff", 'stroke-dasharray="5 4"') for target in truth)
    for index, rollout in reversed(list(enumerate(rollouts))):  # the best on top
        answer = parse_answer(rollout.text, dialect, Frame(frame_px=frame), (frame, frame))
        style = 'stroke-dasharray="1 3"' if _again(index) else ""
        marks += "".join(_marks(target, color_of(index), style) for target in answer.targets)
    picture = load_picture(row["image"])
    picture.thumbnail((PICTURE_PX, PICTURE_PX))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<figure><img alt="" width="{picture.width}" height="{picture.height}" '
        f'src="data:image/jpeg;base64,{data}"><svg viewBox="0 0 {frame} {frame}" preserveAspectRatio="none">'
        f"{marks}</svg></figure>"
    )


def _again(index: int) -> bool:
    """Whether answer `index` has the colour of an earlier one: it is dotted, then."""
    return index >= len(PALETTE)


def _marks(target: Target, color: str, style: str = "") -> str:
    x1, y1, x2, y2 = target.box_xyxy
    box = f'<rect x="{x1}" y="{y1}" width="{x2 - x1}" height="{y2 - y1}" stroke="{color}" {style}/>'
    points = (f'<path d="M{x} {y}h.01" stroke="{color}"/>' for x, y in target.points_xy)  # a dot, never oval
    return box + "".join(points)


def _total(rollout: Rollout) -> float:
    return sum(value for value in rollout.rewards.values() if value == value)  # nan: does not apply


def _number(value: float) -> str:
    return "" if value != value else f"{value:.2f}"
