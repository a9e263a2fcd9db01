"""The published recipes' rewards, total for total: the first release's strict five, and its successor's.

    from train.rewards import RECIPES
    GRPOTrainer(reward_funcs=list(RECIPES["vision_reasoner"]), ...)

A reproduction has to pay what the reference paid, its mercies and slips included: the first {...} of the
whole text, numbers truncated, nothing for what follows a broken item, a hallucinated box above an honest [].
So the reading of answers in here is the reference's own: the one place that does not use
segzero.contract.answer. Ground truth is read as everywhere else, and a solution that cannot be read raises
ValueError.

Thresholds are pixels of the published frame; in another one they shrink along with it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from segzero.contract import MULTI, SINGLE, inside
from train.rewards.reward_function import PUBLISHED_FRAME_PX, LogMetric, log_share, per_answer, text_of

MAX_OBJECTS = 120
BOX_PX, POINT_PX, POINT_PAIR_PX = 10, 30, 100  # mean distances below these are paid

_TAGGED = re.compile(r"<think>.*?</think>\s*<answer>.*?</answer>", re.DOTALL)
_OBJECT = re.compile(r"\{[^}]+\}")
# What JSON, indexing and arithmetic raise on whatever a model may write. Each costs its part and no more.
_SLIPS = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError)


@per_answer
def thinking_format(text: str, solution: str, frame_px: int) -> float:
    """1 when the text is a thought and an answer in their tags and nothing else."""
    return float(_TAGGED.fullmatch(text) is not None)


# -------------------------------------------------------------------------------------------- the strict five


def answer_format(
    completions: Sequence, solution: Sequence[str], log_metric: LogMetric | None = None, **columns: object
) -> list[float]:
    """1 when the text's first object has a bbox of four values and two points of two. Counts the others."""
    rewards = [_has_all_keys(text_of(completion)) for completion in completions]
    log_share(log_metric, "unreadable", [reward == 0 for reward in rewards])
    return rewards


@per_answer
def box_iou(text: str, solution: str, frame_px: int) -> float:
    """1 when the box covers the true one with an IoU above a half."""
    truth, _ = _single_truth(solution)
    try:
        return float(_strict_iou(_single_box(_first_object(text)), truth) > 0.5)
    except _SLIPS:
        return 0.0


@per_answer
def box_l1(text: str, solution: str, frame_px: int) -> float:
    """1 when the box's four numbers are less than 10 pixels off on average."""
    truth, _ = _single_truth(solution)
    try:
        box = _single_box(_first_object(text))
        # Added one by one: since Python 3.12 sum() rounds floats otherwise.
        off = abs(box[0] - truth[0]) + abs(box[1] - truth[1])
        off = off + abs(box[2] - truth[2]) + abs(box[3] - truth[3])
        return float(off / 4 < _shrunk(BOX_PX, frame_px))
    except _SLIPS:
        return 0.0


@per_answer
def points_l1(text: str, solution: str, frame_px: int) -> float:
    """1 when both points lie in the predicted box and are less than 100 pixels off on average, at best."""
    _, (first, second) = _single_truth(solution)
    try:
        item = _first_object(text)
        box = _single_box(item)
        points = [(int(item[key][0]), int(item[key][1])) for key in ("points_1", "points_2")]
        straight = _distance(points[0], first) + _distance(points[1], second)
        crossed = _distance(points[0], second) + _distance(points[1], first)
        near = min(straight, crossed) / 2 < _shrunk(POINT_PAIR_PX, frame_px)
        return float(near and inside(points[0], box) and inside(points[1], box))
    except _SLIPS:
        return 0.0


def _first_object(text: str) -> dict:
    """The first {...} of the text, wherever it is."""
    found = _OBJECT.search(text, 0, text.rfind("}") + 1)  # searched further, open braces take quadratic time
    if found is None:
        raise ValueError("no object")
    return json.loads(found.group())


def _has_all_keys(text: str) -> float:
    try:
        item = _first_object(text)
        values = [(item["bbox"], 4), (item["points_1"], 2), (item["points_2"], 2)]
    except _SLIPS:
        return 0.0
    return float(all(isinstance(value, list) and len(value) == length for value, length in values))


def _single_box(item: dict) -> list:
    """Four values of any kind: numbers are asked for by those who calculate."""
    if len(item["bbox"]) != 4:
        raise ValueError("not four values")
    return item["bbox"]


def _strict_iou(box: list, truth: list[float]) -> float:
    """Pixels are counted, but boxes that share a single row or column of them count as apart."""
    x1, y1 = max(box[0], truth[0]), max(box[1], truth[1])
    x2, y2 = min(box[2], truth[2]), min(box[3], truth[3])
    common = (x2 - x1 + 1) * (y2 - y1 + 1) if x1 < x2 and y1 < y2 else 0
    area = (box[2] - box[0] + 1) * (box[3] - box[1] + 1)
    true_area = (truth[2] - truth[0] + 1) * (truth[3] - truth[1] + 1)
    return float(common) / (area + true_area - common)


def _distance(a: tuple[int, int], b: tuple[float, float]) -> float:
    return math.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2)


def _single_truth(solution: str) -> tuple[list[float], list[list[float]]]:
    """The true box and its two points."""
    (target,) = SINGLE.read_solution(solution)
    return _exact(target.box_xyxy), [_exact(point) for point in target.points_xy]


# --------------------------------------------------------------------------------------------- the successor


def items_format(
    completions: Sequence, solution: Sequence[str], log_metric: LogMetric | None = None, **columns: object
) -> list[float]:
    """Up to 2: the share of listed items with a bbox of four values, and that with a point of two."""
    texts = [text_of(completion) for completion in completions]
    log_share(log_metric, "unreadable", [not _is_json(text) for text in texts])
    return [_items_format(text) for text in texts]


@per_answer
def accuracy(text: str, solution: str, frame_px: int) -> float:
    """Up to 3, the mean over objects in the best matching: IoU, box distance and point distance, one each.

    Divided by the larger number of objects. Where either side has none it is 0: the reference's slip.
    """
    truth = MULTI.read_solution(solution)[:MAX_OBJECTS]
    true_boxes = np.array([_exact(target.box_xyxy) for target in truth])  # (N, 4)
    true_points = np.array([_exact(target.points_xy[0]) for target in truth])  # (N, 2)
    try:
        items = _answer_json(text)
        boxes = np.array([item["bbox_2d"] for item in items][:MAX_OBJECTS])  # (M, 4), or whatever was written
        points = np.array([item["point_2d"] for item in items][:MAX_OBJECTS])  # (M, 2)
        if boxes.shape[1:] != (4,) or points.shape[1:] != (2,) or not truth:
            return 0.0
        with np.errstate(all="ignore"):  # overflows are the model's own, and compare as they fall
            scores = _pair_scores(boxes, points, true_boxes, true_points, frame_px)  # (M, N)
        return float(scores[linear_sum_assignment(scores, maximize=True)].sum() / max(scores.shape))
    except _SLIPS:
        return 0.0


@per_answer
def non_repeat(text: str, solution: str, frame_px: int) -> float:
    """1 unless two sentences, of all that the text has between full stops, were there before."""
    sentences = [sentence.strip() for sentence in text.split(".") if sentence.strip()]
    return float(len(sentences) - len(set(sentences)) < 2)


def _answer_json(text: str) -> object:
    """What stands in the first answer tags. Raises ValueError or RecursionError when that is not JSON."""
    start = text.index("<answer>") + len("<answer>")
    return json.loads(text[start : text.index("</answer>", start)].strip())


def _is_json(text: str) -> bool:
    try:
        _answer_json(text)
    except (ValueError, RecursionError):
        return False
    return True


def _items_format(text: str) -> float:
    total = 0.0
    try:
        items = _answer_json(text)
        for item in items:
            good = 0.0
            for key, length in (("bbox_2d", 4), ("point_2d", 2)):
                good += key in item and isinstance(item[key], list) and len(item[key]) == length
            total += good / len(items)
    except _SLIPS:  # what the items before the broken one earned stays
        pass
    return total


def _pair_scores(
    boxes: np.ndarray, points: np.ndarray, true_boxes: np.ndarray, true_points: np.ndarray, frame_px: int
) -> np.ndarray:
    """(M, 4), (M, 2) predicted and (N, 4), (N, 2) true -> (M, N), 0 to 3: one for each threshold met."""
    x1, y1, x2, y2 = (boxes[:, None, side] for side in range(4))  # (M, 1) each
    true_x1, true_y1, true_x2, true_y2 = true_boxes.T  # (N,) each
    across = np.minimum(x2, true_x2) - np.maximum(x1, true_x1) + 1  # (M, N)
    down = np.minimum(y2, true_y2) - np.maximum(y1, true_y1) + 1
    common = np.maximum(0, across) * np.maximum(0, down)
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    true_areas = (true_x2 - true_x1 + 1) * (true_y2 - true_y1 + 1)
    overlapping = common / (areas + true_areas - common) > 0.5
    close = np.mean(np.abs(boxes[:, None] - true_boxes), axis=2) < _shrunk(BOX_PX, frame_px)
    away = np.sqrt(np.sum((points[:, None] - true_points) ** 2, axis=2))
    x, y = points.T
    own = (x >= boxes[:, 0]) & (x <= boxes[:, 2]) & (y >= boxes[:, 1]) & (y <= boxes[:, 3])  # (M,)
    pointed = (away < _shrunk(POINT_PX, frame_px)) & own[:, None]
    return overlapping.astype(float) + close.astype(float) + pointed.astype(float)


def _shrunk(threshold_px: float, frame_px: int) -> float:
    return threshold_px * frame_px / PUBLISHED_FRAME_PX


def _exact(values: Sequence[float]) -> list[float]:
    """Whole numbers as integers: where an answer's numbers are absurd, numpy's floats and integers differ."""
    return [int(value) if value.is_integer() else value for value in values]
