"""The results as docs/claims.md has them: tables between its marks, and a picture for each claim.

    draw(claim, found, Path("benchmarks/results/claims_a.png"))
    fill(Path("docs/claims.md"), found, Path("benchmarks/results"))

`found` is benchmarks/results/claims.json.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.claims.arms import ARMS
from benchmarks.claims.compared import CLAIMS, Claim, places
from benchmarks.claims.data import SETS
from benchmarks.claims.numbers import FALSE_REFUSALS, GIOU, MEASURES, NONE_SAID, POOLED, UNREADABLE
from benchmarks.composed import write_table
from segzero.evaluation import format_percent

PLACES = {each.name: each.about for each in SETS} | {POOLED: "all questions"}
TITLES = {measure.name: measure.about for measure in MEASURES}
_COLOURS = ("#888888", "#4477aa", "#66ccee", "#cc3311", "#ee7733", "#228833")


def fill(page: Path, found: Mapping, pictures: Path) -> None:
    """Write every table of the page. Raises ValueError when it lacks a table's marks."""
    write_table("setup", setup(found), page)
    write_table("arms", arms_table(found), page)
    for claim in CLAIMS:
        picture = os.path.relpath(pictures / f"claims_{claim.letter}.png", page.parent)
        shown = f"![{claim.title}]({Path(picture).as_posix()})"
        lines = [
            shown,
            "",
            *claim_table(found["claims"][claim.letter]),
            "",
            summary(found["claims"][claim.letter]),
        ]
        write_table(f"claim {claim.letter}", lines, page)


def setup(found: Mapping) -> list[str]:
    """What was run, in a sentence or two."""
    steps, batch, seeds = found["steps"], found["questions_a_step"], found["seeds"]
    return [
        f"Start: weights `{found['start']}`, segmenter `{found['segmenter']}`, recipe `{found['recipe']}`. "
        f"Each training has {steps} steps of {batch} questions, {steps * batch} different ones, "
        f"and {'one seed' if len(seeds) == 1 else f'{len(seeds)} seeds'}; "
        f"each set has {found['questions']} questions."
    ]


def arms_table(found: Mapping) -> list[str]:
    """Every arm: what it took, and how it answers."""
    head = ["arm", "is", "steps", "passes", "CPU-minutes"]
    head += [f"gIoU, {PLACES[place]}" for place in places(GIOU)]
    head += [NONE_SAID.about, FALSE_REFUSALS.about, UNREADABLE.about]
    lines = [_row(head), _row(["---"] * len(head))]
    for name, arm in ARMS.items():
        cost, measured = found["costs"][name], found["arms"][name]
        spent = "" if not cost["steps"] else f"{cost['cpu_minutes']:.1f}"
        cells = [
            f"`{name}`",
            arm.about,
            cost["steps"] or "",
            f"{cost['passes']:.0f}" if cost["steps"] else "",
            spent,
        ]
        cells += [format_percent(measured[GIOU.name][place]) for place in places(GIOU)]
        cells += [format_percent(measured[m.name][POOLED]) for m in (NONE_SAID, FALSE_REFUSALS, UNREADABLE)]
        lines.append(_row(cells))
    return lines


def claim_table(lines: Sequence[Mapping]) -> list[str]:
    """The differences of one claim, each with what the paper's would be."""
    said = {1: "more", -1: "less", 0: ""}
    head = ["difference", "of", "on", "measured", "the paper's claim", "outcome"]
    rows = [_row(head), _row(["---"] * len(head))]
    for line in lines:
        what = f"`{line['after']}` − `{line['before']}`"
        cells = [what, TITLES[line["measure"]], PLACES[line["set"]], format_percent(line["difference"], "+")]
        rows.append(_row([*cells, said[line["expected"]], line["verdict"]]))
    return rows


def summary(lines: Sequence[Mapping]) -> str:
    """How often the miniature agrees with the paper, in a sentence."""
    asked = Counter(line["verdict"] for line in lines if line["expected"])
    if not asked:
        return "The paper makes no claim about these differences."
    words = [f"{asked[word]} {word}" for word in ("as the paper has it", "against the paper")]
    return (
        f"Of {sum(asked.values())} differences that the paper's claim has a sign for: "
        f"{words[0]}, {words[1]}, {asked['no difference shown']} not shown."
    )


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def draw(claim: Claim, found: Mapping, path: Path) -> None:
    """The claim's arms, a panel for each measure, as points with their 95 % intervals; a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # a development requirement: only here
    from matplotlib.figure import Figure

    widths = [len(places(measure)) for measure in claim.measures]
    figure = Figure(figsize=(3.2 + 1.7 * sum(widths), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
    for panel, measure in zip(panels, claim.measures, strict=True):
        for number, arm in enumerate(claim.arms):
            shift = 0.7 * ((number + 0.5) / len(claim.arms) - 0.5)
            for at, place in enumerate(places(measure)):
                estimate = found["arms"][arm][measure.name][place]
                if estimate["value"] is None:
                    continue
                value, low, high = (100 * estimate[end] for end in ("value", "low", "high"))
                panel.errorbar(
                    at + shift, value, [[value - low], [high - value]],
                    fmt="o", capsize=3, color=_COLOURS[number], label=arm if at == 0 else None,
                )  # fmt: skip
        panel.set_xticks(range(len(places(measure))), [PLACES[place] for place in places(measure)])
        panel.set_xlim(-0.5, len(places(measure)) - 0.5)
        panel.set_title(f"{measure.about}, %", fontsize=10)
        panel.grid(axis="y", alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    figure.savefig(path, dpi=110)
