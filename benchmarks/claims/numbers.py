"""From the arms' answers to numbers: means with intervals over questions and seeds, and their differences.

    interval(np.array([[0.5, 1.0], [0.0, 1.0]]))              # (seeds, questions): Estimate(value=0.625, …
    verdict(Estimate(0.03, 0.01, 0.05, 600), expected=+1)     # "as the paper has it"

An arm's answers are a table of seeds and questions. All arms were asked the same questions, and the arms of
one seed learnt from the same rows, so differences are paired: a draw takes the same seeds and questions on
both sides. Seeds and questions are drawn independently, both with replacement. Three seeds are few: their
part in an interval is rather too small than too large.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from segzero.evaluation import RESAMPLES, Estimate, Record

POOLED = "all"  # all sets' questions together, for what few of them tell about

Runs = Sequence[Sequence[Record]]  # of one arm: for each seed, the records in the order of the questions


@dataclass(frozen=True)
class Measure:
    """What is averaged. value: of a record; asked: of which records, decided by the truth alone."""

    name: str
    about: str
    value: Callable[[Record], float]
    asked: Callable[[Record], bool]


def _says_none(record: Record) -> float:
    return float(record.status == "no_target")


def _has_target(record: Record) -> bool:
    return record.overlap is not None and record.overlap.truth > 0


GIOU = Measure("gIoU", "gIoU", lambda record: record.iou, lambda record: True)
NONE_SAID = Measure("none_said", "none said where none", _says_none, lambda r: not _has_target(r))
FALSE_REFUSALS = Measure("false_refusals", "none said where some", _says_none, _has_target)
UNREADABLE = Measure("unreadable", "unreadable", lambda r: float(r.status == "unreadable"), lambda r: True)
MEASURES = (GIOU, NONE_SAID, FALSE_REFUSALS, UNREADABLE)


def table(runs: Runs, measure: Measure) -> np.ndarray:
    """(seeds, questions asked) of a measure."""
    rows = [[measure.value(record) for record in run if measure.asked(record)] for run in runs]
    return np.array(rows, np.float64)


def interval(values: np.ndarray, seed: int = 0) -> Estimate:
    """The mean of (seeds, questions) and its 95 % interval; nan where there is no question."""
    seeds, questions = values.shape
    if not questions:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    rng = np.random.default_rng(seed)
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES)  # (R, seeds), how often each
    of_questions = rng.multinomial(questions, np.full(questions, 1 / questions), RESAMPLES)
    drawn = ((of_seeds @ values) * of_questions).sum(1) / values.size
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Estimate(float(values.mean()), float(low), float(high), values.size)


def difference(after: Runs, before: Runs, measure: Measure) -> Estimate:
    """after - before, paired; a start that has one run stands beside every seed."""
    return interval(table(after, measure) - table(before, measure))


def verdict(found: Estimate, expected: int) -> str:
    """What an interval says. expected: +1 or -1, what the paper's claim would bring; 0: it makes none."""
    sign = (found.low > 0) - (found.high < 0)
    if not sign:
        return "no difference shown"
    if not expected:
        return "more" if sign > 0 else "less"
    return "as the paper has it" if sign == expected else "against the paper"
