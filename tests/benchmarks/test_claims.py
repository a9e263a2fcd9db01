"""The bench of the paper's claims: its adapter, its intervals and its bookkeeping.

python -m pytest tests/benchmarks/test_claims.py
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from benchmarks.claims import arms, data, page, sft
from benchmarks.claims.__main__ import units
from benchmarks.claims.answers import prompt
from benchmarks.claims.arms import ARMS, Bench, Trained
from benchmarks.claims.compared import CLAIMS, places, results
from benchmarks.claims.numbers import FALSE_REFUSALS, GIOU, NONE_SAID, difference, interval, table, verdict
from benchmarks.claims.single_dialect import in_single_dialect, rewritten, single_solution
from segzero.contract import Target
from segzero.evaluation import Estimate, Overlap, Record
from segzero.reasoner import PromptEncoder
from tests.shared.grpo_runs import make_rows
from tests.shared.tiny import save_tiny_reasoner
from train.arguments import read_arguments
from train.mini.language import KINDS
from train.prompts import PromptReader
from train.rewards import RECIPES

DOCS = Path(__file__).resolve().parents[2] / "docs" / "claims.md"

# ---------------------------------------------------------------------- the first release's words and rewards

TRUTH = '[{"bbox_2d": [10,20,60,90], "point_2d": [30,50]}]'
ELSEWHERE = '[{"bbox_2d": [100,100,160,160], "point_2d": [130,130]}]'


def answered(body: str) -> str:
    return f"<think>A dog is asked for.</think><answer>{body}</answer>"


def test_objects_get_the_other_dialects_keys():
    assert rewritten(answered(TRUTH)) == (
        "<think>A dog is asked for.</think>"
        '<answer>[{"bbox": [10,20,60,90], "points_1": [30,50], "points_2": [30,50]}]</answer>'
    )
    assert rewritten(answered("[]")) == answered("[]")
    assert rewritten('[{"bbox_2d": [1,2') == '[{"bbox": [1,2'


def test_a_truth_has_its_point_twice():
    assert single_solution(TRUTH) == "<box>(10,20),(60,90)</box><points>(30,50),(30,50)</points>"
    assert single_solution("[]") is None
    with pytest.raises(ValueError, match="one target"):
        single_solution(TRUTH[:-1] + ", " + ELSEWHERE[1:])


@pytest.mark.parametrize(
    ("case", "body", "truth", "paid"),
    [
        ("right", TRUTH, TRUTH, [1, 1, 1, 1, 1]),
        ("elsewhere", ELSEWHERE, TRUTH, [1, 1, 0, 0, 0]),
        ("right first, then another", TRUTH[:-1] + ", " + ELSEWHERE[1:], TRUTH, [1, 1, 1, 1, 1]),
        ("another, then right", ELSEWHERE[:-1] + ", " + TRUTH[1:], TRUTH, [1, 1, 0, 0, 0]),
        ("nothing where something is", "[]", TRUTH, [1, 0, 0, 0, 0]),
        ("honest nothing", "[]", "[]", [1, 0, 0, 0, 0]),
        ("a box where nothing is", TRUTH, "[]", [1, 1, 0, 0, 0]),
        ("broken", TRUTH[:-3], TRUTH, [1, 0, 0, 0, 0]),
    ],
)
def test_the_strict_five_pay_the_minis_answers(case: str, body: str, truth: str, paid: list[float]):
    said = [[{"role": "assistant", "content": answered(body)}]]
    rewards = [in_single_dialect(reward) for reward in RECIPES["seg_zero"]]
    assert [reward(said, [truth], frame_px=[168])[0] for reward in rewards] == paid
    assert [reward.__name__ for reward in rewards] == [reward.__name__ for reward in RECIPES["seg_zero"]]


# ---------------------------------------------------------------------------------------------------- numbers


def record(iou: float, status: str = "ok", truth: int = 100) -> Record:
    """A question whose truth has so many pixels."""
    said = round(100 * iou) if truth else 100 * (status == "ok")
    return Record(
        "a", "a.png", "q", status, overlap=Overlap(said if truth else 0, truth or said, said, truth)
    )


def test_an_interval_is_over_seeds_and_questions():
    assert interval(np.full((3, 4), 0.25)) == Estimate(0.25, 0.25, 0.25, 12)
    assert interval(np.array([[0.0, 1.0]])) == Estimate(0.5, 0.0, 1.0, 2)
    assert interval(np.array([[0.0, 0.0], [1.0, 1.0]])) == Estimate(0.5, 0.0, 1.0, 4)
    nothing = interval(np.zeros((3, 0)))
    assert nothing.count == 0 and math.isnan(nothing.value)


def test_differences_are_paired():
    before = [[record(0.1), record(0.9)]]
    after = [[record(0.3), record(1.0)], [record(0.3), record(1.0)]]
    found = difference(after, before, GIOU)
    assert (found.value, found.low, found.high) == pytest.approx((0.15, 0.1, 0.2))
    same = difference([[record(0.3), record(1.0)]], [[record(0.1), record(0.8)]], GIOU)
    assert (same.low, same.high) == pytest.approx((0.2, 0.2))


def test_honesty_is_asked_of_those_whom_it_concerns():
    run = [record(1, "no_target", 0), record(0, "ok", 0), record(0, "no_target"), record(0.5), record(0.5)]
    assert table([run], NONE_SAID).tolist() == [[1, 0]]
    assert table([run], FALSE_REFUSALS).tolist() == [[1, 0, 0]]
    assert table([run], GIOU).tolist() == [[1, 0, 0, 0.5, 0.5]]


@pytest.mark.parametrize(
    ("low", "high", "expected", "said"),
    [
        (0.01, 0.03, 1, "as the paper has it"),
        (-0.03, -0.01, -1, "as the paper has it"),
        (-0.03, -0.01, 1, "against the paper"),
        (-0.01, 0.01, 1, "no difference shown"),
        (0.0, 0.0, -1, "no difference shown"),
        (0.01, 0.03, 0, "more"),
        (-0.03, -0.01, 0, "less"),
        (math.nan, math.nan, 1, "no difference shown"),
    ],
)
def test_verdicts(low: float, high: float, expected: int, said: str):
    assert verdict(Estimate((low + high) / 2, low, high, 9), expected) == said


# ------------------------------------------------------------------------------------------------ arms' books


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(arms, "ROOT", tmp_path / "claims")
    monkeypatch.setattr(data, "written", lambda root, source, count, seed: root / f"{count}-{seed}")
    monkeypatch.setattr(arms, "load", lambda folder, preset: (["row"] * 320, "a report"))
    start = save_tiny_reasoner(tmp_path / "start")
    root = tmp_path / "claims" / "key"
    return Bench(start, root, steps=40, batch=8, freeze_vision=True, questions=6)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What sft.train was called with; it takes 0.5 s a step."""
    calls = []

    def train(start: Path, rows: list, **given) -> float:
        calls.append({"start": start, **given})
        given["out"].mkdir(parents=True)
        return 0.5 * given["steps"]

    monkeypatch.setattr(sft, "train", train)
    return calls


def test_an_arm_is_trained_once(bench: Bench, trainings: list[dict]):
    arm = ARMS["sft"]
    bench.model(arm, 1).mkdir(parents=True)
    (bench.model(arm, 1) / "of an interrupted training").touch()
    bench.train(arm, 1)
    bench.train(arm, 1)
    (call,) = trainings
    assert call["steps"] == 40 and call["batch"] == 8 and call["seed"] == 1 and call["freeze_vision"]
    assert call["start"] == bench.root / "start_no_thought" / "model"
    assert bench.trained(arm, 1) == Trained(steps=40, passes=1.0, cpu_seconds=20.0)
    assert not list(bench.model(arm, 1).iterdir())
    assert not bench.done(arm, 2)


def test_the_long_arm_gets_the_seconds_of_grpo(bench: Bench, trainings: list[dict]):
    bench.train(ARMS["sft"], 1)
    bench.folder(ARMS["grpo"], 1).mkdir(parents=True)
    grpo = {"steps": 40, "passes": 1.0, "cpu_seconds": 200.0}
    (bench.folder(ARMS["grpo"], 1) / "training.json").write_text(json.dumps(grpo))
    bench.train(ARMS["sft_long"], 1)
    assert bench.trained(ARMS["sft_long"], 1) == Trained(steps=400, passes=10.0, cpu_seconds=200.0)


def test_rows_that_are_left_out_end_the_run(bench: Bench, trainings: list, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arms, "load", lambda folder, preset: (["row"] * 319, "1 left out"))
    with pytest.raises(arms.DatasetError, match="1 left out"):
        bench.train(ARMS["sft"], 1)
    assert not bench.done(ARMS["sft"], 1)


def test_without_a_thought_the_answer_begins_behind_an_empty_one(bench: Bench):
    with_thought, without = bench.beginning(ARMS["grpo"]), bench.beginning(ARMS["grpo_no_thought"])
    assert with_thought == bench.start
    tails = []
    for folder in (with_thought, without):
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        tails.append(processor.tokenizer.decode(PromptEncoder(processor).tail("a dog?")))
    assert tails[0].endswith("assistant\n") and tails[1] == tails[0] + "<think></think>"
    assert (
        bench.start.joinpath("model.safetensors").read_bytes() == (without / "model.safetensors").read_bytes()
    )


def test_grpo_sees_each_question_once_and_holds_nothing_out(bench: Bench, tmp_path: Path):
    argv = bench.grpo_arguments(ARMS["grpo"], 2, tmp_path / "rows", tmp_path / "out")
    run, args, model, _ = read_arguments(argv)
    assert run.data == str(tmp_path / "rows") and not run.held_out
    assert (run.rows, args.max_steps, args.seed) == (320, 40, 2)
    assert args.eval_strategy == args.save_strategy == "no" and not args.load_best_model_at_end
    assert model.model_name_or_path == str(bench.start)


def test_arms_come_after_those_they_are_measured_by():
    order = [(arm.name, seed) for arm, seed in units(2)]
    assert [unit for unit in order if unit[0] == "start"] == [("start", 1)]
    assert [seed for _, seed in order] == sorted(seed for _, seed in order)
    assert order.index(("sft_long", 2)) > max(order.index(("grpo", 2)), order.index(("sft", 2)))
    assert len(order) == 2 + 2 * 7


def test_kinds_are_either_trained_or_held_out():
    assert sorted([*data.TRAINED, *data.HELD_OUT]) == sorted(KINDS)


@pytest.mark.slow
def test_kinds_take_turns():
    made = list(data.items(data.SETS[2], 6, seed=3))
    assert [each.kind for each in made] == [*data.HELD_OUT, *data.HELD_OUT]
    assert len({each.id for each in made}) == 6 and len(made[2].masks) > 1


# -------------------------------------------------------------------------------------- learning from answers


def test_every_pass_has_all_rows():
    order = sft.batches(5, 2, seed=0)
    drawn = [index for _ in range(5) for index in next(order)]
    assert sorted(drawn[:5]) == sorted(drawn[5:]) == [0, 1, 2, 3, 4]


def test_the_loss_is_that_of_the_answers_tokens(tmp_path: Path):
    folder, rows = save_tiny_reasoner(tmp_path / "start"), list(make_rows(tmp_path))
    processor = AutoProcessor.from_pretrained(folder, padding_side="left")
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    reader = PromptReader(processor, model, torch.device("cpu"))
    found = sft.answer_loss(model, reader, processor.tokenizer, rows).item()
    totals = []  # row by row, as the model itself reads them
    for row in rows:
        said = sft.answer_text(row, processor.tokenizer)
        assert said.startswith("<answer>[") and said.endswith("]</answer><|im_end|>")
        ids = torch.tensor([processor.tokenizer(said, add_special_tokens=False)["input_ids"]])
        (asked,) = reader([row])
        whole = torch.cat([asked.ids[None], ids], dim=1)
        steps = asked.positions[:, -1:] + 1 + torch.arange(ids.shape[1])
        positions = torch.cat([asked.positions, steps], dim=1)[:, None]
        logits = model(
            input_ids=whole, position_ids=positions, pixel_values=asked.pixels, image_grid_thw=asked.grid
        ).logits[0, len(asked.ids) - 1 : -1]
        totals.append(torch.nn.functional.cross_entropy(logits, ids[0], reduction="none"))
    assert found == pytest.approx(torch.cat(totals).mean().item(), rel=1e-4)


def test_training_lowers_the_loss_and_leaves_a_model(tmp_path: Path):
    folder, rows = save_tiny_reasoner(tmp_path / "start"), make_rows(tmp_path)
    out = tmp_path / "out"
    assert sft.train(folder, rows, steps=12, batch=2, freeze_vision=True, seed=0, out=out) > 0
    losses, towers = [], []
    for name in ("start", "out"):
        processor = AutoProcessor.from_pretrained(tmp_path / name, padding_side="left")
        model = AutoModelForImageTextToText.from_pretrained(tmp_path / name, dtype=torch.float32)
        reader = PromptReader(processor, model, torch.device("cpu"))
        losses.append(sft.answer_loss(model, reader, processor.tokenizer, list(rows)).item())
        towers.append(torch.cat([each.flatten() for each in model.model.visual.parameters()]))
    assert losses[1] < losses[0] and torch.equal(*towers)


# ------------------------------------------------------------------------------------------ prompts, the page


def test_prompts_with_one_part_left_out():
    target = {"box_xyxy": [1, 2, 30, 40], "points_xy": [[5, 6]], "score": 0.9}
    assert prompt(target, "box", (70, 50)) == Target((1, 2, 30, 40))
    assert prompt(target, "points", (70, 50)) == Target((0, 0, 69, 49), ((5, 6),))


def test_the_page_takes_tables_and_pictures(tmp_path: Path):
    pytest.importorskip("matplotlib")
    shown = {arm for claim in CLAIMS for arm in claim.arms} | set(ARMS)
    some = [record(0.5), record(1, "no_target", 0)]
    answers = {
        name: {each.name: [some] if name.startswith("start") else [some, some] for each in data.SETS}
        for name in shown
    }
    cost = {"steps": 40, "passes": 1.0, "cpu_minutes": 3.25}
    about = {"start": "abc", "segmenter": "def", "recipe": "123", "steps": 40, "questions_a_step": 8}
    found = {**about, "questions": 2, "seeds": [1, 2], "costs": dict.fromkeys(ARMS, cost), **results(answers)}
    path = tmp_path / "claims.md"
    path.write_text(DOCS.read_text(encoding="utf-8"), encoding="utf-8")
    page.fill(path, found, tmp_path / "results")
    text = path.read_text(encoding="utf-8")
    row = "| `grpo` | GRPO, `segzero` | 40 | 1 | 3.2 | 75.0 ["
    assert row in text and "![GRPO with and without the thought](results/claims_b.png)" in text
    assert (
        "| `grpo` − `sft` | gIoU | another drawing style | +0.0 [+0.0, +0.0] | more | no difference shown |"
        in text
    )
    assert "Of 11 differences that the paper's claim has a sign for: 0 as the paper has it" in text
    for claim in CLAIMS:
        page.draw(claim, found, tmp_path / f"{claim.letter}.png")
        assert (tmp_path / f"{claim.letter}.png").read_bytes().startswith(b"\x89PNG")
        assert all(place in found["arms"][claim.arms[0]][GIOU.name] for place in places(GIOU))


def test_recipes_differ_by_their_values_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    digests = []
    for text in ("a: 1  # one\nb: 2\n", "b: 2\na: 1\n", "a: 1\nb: 3\n"):
        (tmp_path / "recipe.yaml").write_text(text)
        monkeypatch.setattr(arms, "DEFAULT_RECIPE", tmp_path / "recipe.yaml")
        digests.append(arms.recipe_digest())
    assert digests[0] == digests[1] != digests[2]


def test_a_folder_without_weights_is_no_start(tmp_path: Path):
    with pytest.raises(arms.DatasetError, match="holds no weights"):
        Bench.of(tmp_path, steps=1, questions=1)
