"""Which arms are held against each other for which claim, and what came of it.

    found = results(answers, costs)          # answers[arm name][set name]: a list of records for each seed

`CLAIMS` is the whole of what docs/claims.md tells: each claim with the arms it is about, and the differences
that it, or nobody, has an opinion on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.claims.data import SETS
from benchmarks.claims.numbers import (
    FALSE_REFUSALS,
    GIOU,
    MEASURES,
    NONE_SAID,
    POOLED,
    Measure,
    Runs,
    difference,
    interval,
    table,
    verdict,
)
from segzero.evaluation import as_plain

Answers = Mapping[str, Mapping[str, Runs]]
IN, STYLE, KINDS = (each.name for each in SETS)


@dataclass(frozen=True)
class Comparison:
    """after - before. expected: on which sets the paper's claim has an opinion on the sign, and which."""

    after: str
    before: str
    expected: Mapping[str, int]
    measure: Measure = GIOU


@dataclass(frozen=True)
class Claim:
    """letter: as in the page. arms: that its picture shows; measures: with these panels."""

    letter: str
    title: str
    arms: Sequence[str]
    comparisons: Sequence[Comparison]
    measures: Sequence[Measure] = (GIOU,)


_OUT = {STYLE: 1, KINDS: 1}
_ALL = {IN: 1, **_OUT}
_LOSS = {STYLE: -1, KINDS: -1}
CLAIMS = (
    Claim(
        "a",
        "GRPO with thoughts against supervised fine-tuning on answers",
        ("start", "sft", "sft_long", "grpo"),
        (
            Comparison("grpo", "start", _ALL),
            Comparison("sft", "start_no_thought", _LOSS),
            Comparison("sft_long", "start_no_thought", _LOSS),
            Comparison("grpo", "sft", _OUT),
            Comparison("grpo", "sft_long", _OUT),
        ),
    ),
    Claim(
        "b",
        "GRPO with and without the thought",
        ("start", "grpo", "start_no_thought", "grpo_no_thought"),
        (
            Comparison("grpo", "grpo_no_thought", _OUT),
            Comparison("grpo_no_thought", "start_no_thought", _ALL),
            Comparison("start", "start_no_thought", {}),
        ),
    ),
    Claim(
        "c",
        "what the segmenter is prompted with",
        ("start box", "start points", "start", "grpo box", "grpo points", "grpo"),
        tuple(
            Comparison(after, before, _ALL)
            for arm in ("start", "grpo")
            for after, before in (
                (arm, f"{arm} box"),
                (arm, f"{arm} points"),
                (f"{arm} box", f"{arm} points"),
            )
        ),
    ),
    Claim(
        "d",
        "the strict format reward against the loose",
        ("start", "vision_reasoner_loose", "vision_reasoner"),
        (
            Comparison("vision_reasoner", "vision_reasoner_loose", _OUT),
            Comparison("vision_reasoner", "start", _ALL),
        ),
    ),
    Claim(
        "e",
        "the published rewards against ours, and honesty",
        ("start", "seg_zero", "vision_reasoner", "grpo"),
        tuple(
            Comparison("grpo", other, {}, measure)
            for other in ("seg_zero", "vision_reasoner", "start")
            for measure in (GIOU, NONE_SAID, FALSE_REFUSALS)
        ),
        (GIOU, NONE_SAID, FALSE_REFUSALS),
    ),
)


def places(measure: Measure) -> tuple[str, ...]:
    """The sets a measure is told of: gIoU of each, shares that few questions tell about of all together."""
    return (IN, STYLE, KINDS) if measure is GIOU else (POOLED,)


def pooled(answers: Answers) -> Answers:
    """The answers with one more set: all questions of all sets, seed by seed."""
    return {
        arm: {**sets, POOLED: [sum(map(list, seeds), []) for seeds in zip(*sets.values(), strict=True)]}
        for arm, sets in answers.items()
    }


def results(answers: Answers) -> dict:
    """Every arm's measures and every claim's differences, in values that json.dumps takes."""
    answers = pooled(answers)
    arms = {
        arm: {
            measure.name: {
                place: as_plain(interval(table(sets[place], measure))) for place in places(measure)
            }
            for measure in MEASURES
        }
        for arm, sets in answers.items()
    }
    return {"arms": arms, "claims": {claim.letter: _compared(claim, answers) for claim in CLAIMS}}


def _compared(claim: Claim, answers: Answers) -> list[dict]:
    lines = []
    for each in claim.comparisons:
        for place in places(each.measure):
            found = difference(answers[each.after][place], answers[each.before][place], each.measure)
            expected = each.expected.get(place, 0)
            lines.append(
                {
                    "after": each.after,
                    "before": each.before,
                    "measure": each.measure.name,
                    "set": place,
                    "difference": as_plain(found),
                    "expected": expected,
                    "verdict": verdict(found, expected),
                }
            )
    return lines
