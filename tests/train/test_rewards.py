"""What the project's own recipe pays, what holds for every recipe, and the reward for masks.

python -m pytest -q tests/train/test_rewards.py
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from segzero.pictures import encode_mask
from tests.shared.answers import ONE, SQUARE, TWO, item, parts, single, tagged
from train.rewards import RECIPES, mask_reward


def total(text: str, solution: str, **columns: object) -> float:
    """What the project's own recipe pays in all."""
    return sum(parts("segzero", text, solution, **columns))


# ------------------------------------------------------------------------------- the project's own, at most 4

CLEAN = [0.1, 0.1, 0.1]  # clean_answer, thinking_tags, thought

OWN = [
    ("as it should be", tagged(ONE), ONE, [3, 0.7, *CLEAN]),
    ("the paper's dialect", tagged(single()), SQUARE, [3, 0.7, *CLEAN]),
    ("its points swapped", tagged(single(first="[180,180]", second="[120,120]")), SQUARE, [3, 0.7, *CLEAN]),
    ("several", tagged(TWO), TWO, [3, 0.7, *CLEAN]),
    ("an honest nothing", tagged("[]"), "[]", [3, 0.7, *CLEAN]),
    ("a hallucination", tagged(ONE), "[]", [0, 0, *CLEAN]),
    ("nothing where there is something", tagged("[]"), ONE, [0, 0, *CLEAN]),
    ("one of two", tagged(ONE), TWO, [1.5, 0.35, *CLEAN]),
    ("one too many", tagged(TWO), ONE, [1.5, 0.35, *CLEAN]),
    ("no tags", ONE, ONE, [3, 0.7, 0, 0, 0]),
    ("a code fence", tagged(f"```json\n{ONE}\n```"), ONE, [3, 0.7, 0, 0.1, 0.1]),
    # IoU 8100 / 11900, ten pixels off, no point off
    ("ten px off", tagged(f"[{item('[110,110,209,209]')}]"), ONE, [1.8 * 81 / 119 + 0.9, 0.7, *CLEAN]),
    ("a point thirty off", tagged(f"[{item(point='[180,150]')}]"), ONE, [3 * (0.6 + 0.2 + 0.1), 0.7, *CLEAN]),
    ("one point of two off by thirty", tagged(single(first="[150,120]")), SQUARE, [3 * 0.95, 0.7, *CLEAN]),
    ("no point", tagged('[{"bbox_2d": [100,100,199,199]}]'), ONE, [3 * 0.8, 0.7, 0, 0.1, 0.1]),
    # 84 pixels to the left, 100 * 3 / 4 = 75 and 34 more on average; the point 84 off
    ("apart", tagged(f"[{item('[0,100,16,199]', '[66,150]')}]"), ONE, None),
    ("not an answer", tagged("it is on the left"), ONE, [0, 0, 0, 0.1, 0.1]),
    ("nothing at all", "", ONE, [0, 0, 0, 0, 0]),
    ("an empty thought", tagged(ONE, " … "), ONE, [3, 0.7, 0.1, 0.1, 0]),
    ("a thought that never ends", "<think>" + ONE, ONE, [3, 0.7, 0, 0, 0]),
    ("a sentence over and over", tagged(ONE, "A dog! A dog? A dog."), ONE, [3, 0.7, 0.1, 0.1, 0]),
    ("a word over and over", tagged(ONE, "dog " * 30), ONE, [3, 0.7, 0.1, 0.1, 0]),
    ("a letter over and over", tagged(ONE, "z" * 60), ONE, [3, 0.7, 0.1, 0.1, 0]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "solution", "expected"), [row[1:] for row in OWN], ids=[row[0] for row in OWN]
)
def test_segzero_pays(text: str, solution: str, expected: list[float] | None):
    paid = parts("segzero", text, solution)
    if expected is None:  # two boxes apart: half the closeness at a tenth of the frame, and a little accuracy
        assert paid[1] == pytest.approx(0.35) and 0 < paid[0] < 0.3 and paid[2:] == [0, 0.1, 0.1]
    else:
        assert paid == pytest.approx(expected)


def random_box(rng: np.random.Generator) -> list[int]:
    x1, y1 = rng.integers(0, 700, 2)
    width, height = rng.integers(3, 140, 2)
    return [int(x1), int(y1), int(x1 + width), int(y1 + height)]


def written(boxes: list[list[int]], points: list[list[int]]) -> str:
    pairs = zip(boxes, points, strict=True)
    return json.dumps([{"bbox_2d": box, "point_2d": point} for box, point in pairs])


def centre(box: list[int]) -> list[int]:
    return [(box[0] + box[2]) // 2, (box[1] + box[3]) // 2]


def test_an_honest_nothing_is_worth_more_than_any_hallucination():
    rng = np.random.default_rng(0)
    plainest = min(total(text, "[]") for text in ("<answer>[]</answer>", "[]", tagged("[]", "na " * 99)))
    for count in (1, 2, 7):
        boxes = [random_box(rng) for _ in range(count)]
        assert total(tagged(written(boxes, [centre(box) for box in boxes])), "[]") < plainest


def test_a_better_box_is_never_worth_less():
    """From anywhere on the straight way to the true box, in whole pixels; the point stays where it is."""
    rng = np.random.default_rng(1)
    for _ in range(40):
        truth = random_box(rng)
        step = rng.integers(-20, 21, 4)
        step[2:] = np.maximum(
            step[2:], step[:2]
        )  # the start is no smaller than the truth: no box is inside out
        boxes = [(truth + step * left).tolist() for left in (6, 5, 4, 3, 2, 1, 0)]
        paid = [total(tagged(written([box], [[5, 5]])), written([truth], [centre(truth)])) for box in boxes]
        assert all(later >= before - 1e-9 for before, later in zip(paid, paid[1:], strict=False)), paid
        assert paid[-1] > paid[0] or not step.any()


def test_every_step_towards_the_object_pays():
    """No plateau: a group of answers that are all wrong still has a best one."""
    paid = [
        total(tagged(f"[{item(f'[{x},700,{x + 90},800]', f'[{x + 45},750]')}]"), ONE)
        for x in range(700, 150, -50)
    ]
    assert all(later > before for before, later in zip(paid, paid[1:], strict=False))


def test_form_alone_is_worth_less_than_a_box_that_overlaps():
    rng = np.random.default_rng(2)
    form = max(
        total(tagged(answer), ONE) for answer in ("[]", "{}", "no", '[{"bbox_2d": [1]}]', '{"bbox": 3}')
    )
    for _ in range(30):
        x, y = rng.integers(199 - 150, 199, 2)
        assert total("so " + written([[int(x), int(y), int(x) + 150, int(y) + 150]], [[0, 0]]), ONE) > form


def test_boxes_sprayed_over_the_picture_cost():
    """However many miss or hit beside the one that is meant: each further one takes from what it is paid."""
    rng = np.random.default_rng(3)
    boxes = [[100, 100, 199, 199]]
    paid = [total(tagged(written(boxes, [centre(box) for box in boxes])), ONE)]
    for _ in range(6):
        boxes.append(random_box(rng))
        paid.append(total(tagged(written(boxes, [centre(box) for box in boxes])), ONE))
    assert paid[:2] == pytest.approx([4, 3.7 / 2 + 0.3], abs=0.01)
    assert all(more < fewer for fewer, more in zip(paid, paid[1:], strict=False)), paid


def test_pay_goes_by_the_frame():
    small = '[{"bbox_2d": [20,20,40,40], "point_2d": [30,30]}]'
    large = '[{"bbox_2d": [100,100,200,200], "point_2d": [150,150]}]'
    apart = tagged('[{"bbox_2d": [60,20,80,40], "point_2d": [36,30]}]')
    same = tagged('[{"bbox_2d": [300,100,400,200], "point_2d": [180,150]}]')
    assert parts("segzero", apart, small, frame_px=168) == pytest.approx(parts("segzero", same, large))


# ------------------------------------------------------------------------------------------------ all of them


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_part_has_a_name_of_its_own_and_takes_what_trl_passes(recipe: str):
    solution = SQUARE if recipe == "seg_zero" else ONE
    names = [reward.__name__ for reward in RECIPES[recipe]]
    assert len(set(names)) == len(names)
    for reward in RECIPES[recipe]:
        paid = reward(
            prompts=[[{"role": "user", "content": "?"}]] * 2,
            completions=[[{"role": "assistant", "content": tagged(ONE)}]] * 2,
            completion_ids=[[1], [1]],
            solution=[solution] * 2,
            image=["a.png"] * 2,
            trainer_state=None,
            log_extra=lambda name, values: None,
            log_metric=lambda name, value: None,
        )
        assert len(paid) == 2 and all(type(value) is float for value in paid)
        assert reward(completions=[], solution=[]) == []


@pytest.mark.parametrize(
    ("recipe", "solution"), [("seg_zero", SQUARE), ("vision_reasoner", ONE), ("segzero", ONE)]
)
def test_unreadable_answers_are_counted(recipe: str, solution: str):
    good = tagged(single() if recipe == "seg_zero" else ONE)
    completions = [
        [{"role": "assistant", "content": text}] for text in (good, "hm", good, "<answer>{</answer>")
    ]
    logged = []
    for reward in RECIPES[recipe]:
        reward(
            completions, solution=[solution] * 4, log_metric=lambda name, value: logged.append((name, value))
        )
    assert logged == [("unreadable", 0.5)]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("solution", ["", "<box>(1,2),(3)</box>", '[{"bbox_2d": [1,2,3,4]}]', "null"])
def test_a_solution_that_cannot_be_read_is_no_zero(recipe: str, solution: str):
    with pytest.raises(ValueError, match="solution"):
        parts(recipe, tagged(ONE), solution)


# --------------------------------------------------------------------------------------------- with the masks


class BoxSegmenter:
    """Fills every box, and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def segment(self, image, targets):
        self.asked.append((image.size, [target.box_xyxy for target in targets]))
        masks = np.zeros((len(targets), image.height, image.width), bool)
        for mask, target in zip(masks, targets, strict=True):
            x1, y1, x2, y2 = map(int, target.box_xyxy)
            mask[y1:y2, x1:x2] = True
        return SimpleNamespace(masks=masks)


def box_mask(x1: int, y1: int, x2: int, y2: int) -> dict:
    """A filled box in a picture of 60 x 40."""
    mask = np.zeros((40, 60), bool)
    mask[y1:y2, x1:x2] = True
    return encode_mask(mask)


def test_masks_are_compared_in_the_picture(tmp_path):
    path = tmp_path / "wide.png"
    Image.new("RGB", (60, 40)).save(path)
    segmenter = BoxSegmenter()
    left, right = (
        '{"bbox_2d": [0,0,420,840], "point_2d": [9,9]}',
        '{"bbox_2d": [420,0,840,840], "point_2d": [9,9]}',
    )
    rows = [
        (f"[{left}]", [box_mask(0, 0, 30, 40)], 1.0),
        (f"[{left}]", [box_mask(0, 0, 60, 40)], 0.5),
        (f"[{left}, {right}]", [box_mask(0, 0, 60, 20), box_mask(0, 20, 60, 40)], 1.0),
        (f"[{left}]", [], 0.0),
        ("[]", [], 1.0),
        ("[]", [box_mask(0, 0, 9, 9)], 0.0),
        ("what", [], 0.0),
        (f"[{left}]", None, None),
    ]
    completions = [[{"role": "assistant", "content": tagged(answer)}] for answer, _, _ in rows]
    paid = mask_reward(segmenter)(
        completions=completions,
        solution=["[]"] * len(rows),
        image=[str(path)] * 4 + [Image.new("RGB", (60, 40))] * 4,
        masks=[masks for _, masks, _ in rows],
        trainer_state=None,
    )
    assert paid == [expected for _, _, expected in rows]
    assert segmenter.asked[0] == ((60, 40), [(0, 0, 30, 40)])


def test_without_a_column_of_masks_there_is_no_mask_reward():
    completions = [[{"role": "assistant", "content": tagged(ONE)}]]
    assert mask_reward(BoxSegmenter())(completions, solution=[ONE], image=["gone.png"]) == [None]
