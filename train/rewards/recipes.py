"""Reward functions for GRPO, as TRL calls them: the published recipes' parts, and the project's own.

    from train.rewards import RECIPES, mask_reward
    GRPOTrainer(reward_funcs=[*RECIPES["segzero"], mask_reward(segmenter)], ...)

"seg_zero" (at most 5) and "vision_reasoner" (at most 7) pay what the published recipes pay, to the letter.
"segzero", the default, pays at most 4:

    accuracy       3.0  every object's box and points, best matched, over the larger number of objects
    closeness      0.7  how near each box comes to its object, matched likewise; in full where they overlap
    clean_answer   0.1  the answer is in its dialect, nothing read by mercy
    thinking_tags  0.1  a thought and an answer in their tags, nothing else
    thought        0.1  there is a thought, and it does not go round in circles

All of the form together (0.3) is less than a box that overlaps its object (0.7), and further boxes that hit
nothing take from both of the large parts: were they free, a model that is unsure would learn to spray them.
Where nothing matches, an answer that says so gets the accuracy and closeness in full and a box gets neither.
Nothing has a threshold: distances pay half at the published one, more below and less above, so that answers
of a group differ.

Every function takes the columns `solution` and, for another frame than the published one, `frame_px`.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from segzero.contract import Answer, Box, Frame, Point, Target, box_iou, parse_answer
from segzero.pictures import decode_rle, load_picture
from train.rewards import published as reference
from train.rewards.reward_function import (
    PUBLISHED_FRAME_PX,
    LogMetric,
    Reward,
    frames_of,
    log_share,
    per_answer,
    text_of,
)
from train.solution import read_solution

ACCURACY, CLOSENESS, FORM = 3.0, 0.7, 0.1  # the most that each part pays, FORM each of the three on form
IOU_SHARE, BOX_SHARE, POINT_SHARE = 0.6, 0.2, 0.2  # of a pair's score
GAP_PX = 84  # between boxes that are apart, where closeness is half: a tenth of the published frame
PACKED = 2.4  # text that packs better than this goes round in circles; a usual limit for transcripts


# --------------------------------------------------------------------------------------- what the answer hits


@per_answer
def accuracy(text: str, solution: str, frame_px: int) -> float:
    """0 to 3: the pairs' scores in the best matching, over the larger number of objects."""
    answer, truth = _read(text, solution, frame_px)
    if not truth:
        return ACCURACY * (answer.status == "no_target")
    return ACCURACY * _matched([[_pair_score(a, b, frame_px) for b in truth] for a in answer.targets])


@per_answer
def closeness(text: str, solution: str, frame_px: int) -> float:
    """0 to 0.7: the pairs by the gap between their boxes, in full without one, over the larger number."""
    answer, truth = _read(text, solution, frame_px)
    if not truth:
        return CLOSENESS * (answer.status == "no_target")
    gaps = [[_gap(a.box_xyxy, b.box_xyxy) for b in truth] for a in answer.targets]
    return CLOSENESS * _matched([[_half_at(gap, GAP_PX, frame_px) for gap in row] for row in gaps])


def _pair_score(target: Target, truth: Target, frame_px: int) -> float:
    """0 to 1, and 1 only for the very box and points; better numbers are never worth less."""
    pairs = zip(target.box_xyxy, truth.box_xyxy, strict=True)
    off = sum(abs(a - b) for a, b in pairs) / 4
    return (
        IOU_SHARE * box_iou(target.box_xyxy, truth.box_xyxy, inclusive=True)
        + BOX_SHARE * _half_at(off, reference.BOX_PX, frame_px)
        + POINT_SHARE * _points_score(target.points_xy, truth.points_xy, frame_px)
    )


def _points_score(points: Sequence[Point], truth: Sequence[Point], frame_px: int) -> float:
    """0 to 1: one or two points, paired best with one or two, over the larger number of them."""
    pairings = (points, truth), (points, truth[::-1]), (points[::-1], truth)
    best = max(
        sum(_half_at(math.dist(a, b), reference.POINT_PX, frame_px) for a, b in zip(*pair, strict=False))
        for pair in pairings
    )
    return best / max(len(points), len(truth))


def _matched(scores: Sequence[Sequence[float]]) -> float:
    """(M, N) scores -> the sum over the best one-to-one matching, divided by max(M, N); 0 without any."""
    if not scores:
        return 0.0
    table = np.array(scores)
    return float(table[linear_sum_assignment(table, maximize=True)].sum() / max(table.shape))


def _half_at(distance: float, half_px: float, frame_px: int) -> float:
    """1 at no distance, a half at `half_px` of the published frame, and never quite 0."""
    return 1 / (1 + (distance * PUBLISHED_FRAME_PX / frame_px / half_px) ** 2)


def _gap(a: Box, b: Box) -> float:
    """Pixels from one box to the other along the shortest way, 0 when they touch or overlap."""
    across, down = max(a[0], b[0]) - min(a[2], b[2]), max(a[1], b[1]) - min(a[3], b[3])
    return math.hypot(max(across, 0), max(down, 0))


# ----------------------------------------------------------------------------------------------- and its form


def clean_answer(
    completions: Sequence,
    solution: Sequence[str],
    frame_px: Sequence[int] | None = None,
    log_metric: LogMetric | None = None,
    **columns: object,
) -> list[float]:
    """0.1 for an answer that was read without mercy. Counts those that could not be read at all."""
    rows = zip(completions, solution, frames_of(frame_px, len(completions)), strict=True)
    answers = [_read(text_of(completion), truth, frame)[0] for completion, truth, frame in rows]
    log_share(log_metric, "unreadable", [answer.status == "unreadable" for answer in answers])
    return [FORM * (answer.status != "unreadable" and not answer.problem) for answer in answers]


def thinking_tags(completions: Sequence, solution: Sequence[str], **columns: object) -> list[float]:
    """0.1 for a thought and an answer in their tags and nothing else."""
    return [FORM * paid for paid in reference.thinking_format(completions, solution)]


@per_answer
def thought(text: str, solution: str, frame_px: int) -> float:
    """0.1 for a thought with words in it, 0 when it repeats itself or never ends."""
    words = _read(text, solution, frame_px)[0].thinking
    return FORM * ("</think>" in text and any(map(str.isalnum, words)) and not _goes_round(words))


def _goes_round(thought: str) -> bool:
    """Whether sentences come back, or the text is little but repetition in whatever units."""
    sentences = [sentence.strip().lower() for sentence in re.split(r"[.!?。！？\n]", thought)]
    sentences = [sentence for sentence in sentences if sentence]
    raw = thought.encode("utf-8", "replace")
    return len(sentences) - len(set(sentences)) >= 2 or len(raw) > PACKED * len(zlib.compress(raw))


def _read(text: str, solution: str, frame_px: int) -> tuple[Answer, list[Target]]:
    """The answer and the truth, both in pixels of the frame."""
    dialect, truth = read_solution(solution)
    return parse_answer(text, dialect, Frame(frame_px=frame_px), (frame_px, frame_px)), truth


# --------------------------------------------------------------------------------------------- with the masks


def mask_reward(segmenter, shown: Frame | None = None) -> Reward:
    """A reward function that segments what an answer points at: 0 to 1, the masks' IoU with the true ones.

    segmenter: has `segment` as segzero.segmenter.Segmenter has it.
    shown: the frame that says what an answer's numbers mean; None: pixels of a square of `frame_px`.
    The function takes the columns image (path or picture) and masks (COCO run lengths of each true object, in
    pixels of the upright picture). It returns None where masks is None. An unreadable answer gets 0; when
    nothing matches, saying so gets 1 and anything else 0.
    """

    def mask_iou(
        completions: Sequence,
        solution: Sequence[str],
        image: Sequence,
        masks: Sequence[list[dict] | None] | None = None,
        frame_px: Sequence[int] | None = None,
        **columns: object,
    ) -> list[float | None]:
        pictures = {}  # a group's answers share one picture
        rewards: list[float | None] = []
        frames, known = frames_of(frame_px, len(completions)), masks or [None] * len(completions)
        for completion, truth, source, true, frame in zip(
            completions, solution, image, known, frames, strict=True
        ):
            if true is None:
                rewards.append(None)
                continue
            key = source if isinstance(source, str) else id(source)
            if key not in pictures:
                pictures[key] = load_picture(source)
            dialect, wh = read_solution(truth)[0], pictures[key].size
            answer = parse_answer(text_of(completion), dialect, shown or Frame(frame_px=frame), wh)
            rewards.append(_mask_iou(segmenter, pictures[key], answer, [decode_rle(rle) for rle in true]))
        return rewards

    return mask_iou


def _mask_iou(segmenter, picture, answer: Answer, true_masks: Sequence[np.ndarray]) -> float:
    """true_masks: (H, W) bool each."""
    if answer.status == "unreadable" or not answer.targets or not true_masks:
        return float(answer.status == "no_target" and not true_masks)
    found = segmenter.segment(picture, answer.targets).masks.any(axis=0)  # (H, W)
    true = np.any(true_masks, axis=0)
    return float((found & true).sum() / (found | true).sum())


RECIPES: dict[str, tuple[Reward, ...]] = {
    "seg_zero": (
        reference.thinking_format,
        reference.answer_format,
        reference.box_iou,
        reference.box_l1,
        reference.points_l1,
    ),
    "vision_reasoner": (
        reference.thinking_format,
        reference.items_format,
        reference.accuracy,
        reference.non_repeat,
    ),
    "segzero": (accuracy, closeness, clean_answer, thinking_tags, thought),
}
