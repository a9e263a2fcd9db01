"""The paper's claims in miniature: train every arm from one start, ask all the same, say what came of it.

    OMP_NUM_THREADS=1 python -m benchmarks.claims
    python -m benchmarks.claims --steps 2 --questions 16 --seeds 1 --results out --page out/claims.md

Stop it whenever you like: the same command goes on with the arms that are not done (runs/claims). When all
are, it writes claims.json and a picture for each claim, and the tables of docs/claims.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.claims.answers import PROMPTS, Asked
from benchmarks.claims.arms import ARMS, Arm, Bench, recipe_digest
from benchmarks.claims.compared import CLAIMS, results
from benchmarks.claims.data import SETS
from benchmarks.claims.page import draw, fill
from segzero.contract import MINI
from segzero.data import DatasetError
from segzero.hub import ModelError
from segzero.segmenter import Segmenter
from train.mini.evaluate import fingerprint

REPO = Path(__file__).resolve().parents[2]
GRPO_STEP_S, SFT_STEP_S, ANSWER_S, MASK_S = 5.0, 0.4, 0.1, 0.05  # of one core, for the estimate alone
REPROMPTED = ("start", "grpo")  # arms whose answers are segmented again from other prompts


def units(seeds: int) -> Iterator[tuple[Arm, int]]:
    """Arms and seeds in the order of the work: all arms of a seed before the next seed's."""
    for seed in range(1, seeds + 1):
        for arm in ARMS.values():
            if arm.learns != "nothing" or seed == 1:
                yield arm, seed


def prompts_of(arm: Arm) -> Sequence[str]:
    return PROMPTS if arm.name in REPROMPTED else PROMPTS[:1]


def estimate(asked: Asked, seeds: int) -> float:
    """About how many seconds of one core are left."""
    bench, left = asked.bench, 0.0
    for arm, seed in units(seeds):
        if not bench.done(arm, seed):
            as_grpo = arm.learns == "rewards" or arm.like
            left += bench.steps * (GRPO_STEP_S if as_grpo else SFT_STEP_S)
        for of in SETS:
            for prompts in prompts_of(arm):
                each = ANSWER_S if prompts == "both" else MASK_S
                left += 0 if asked.path(arm, seed, of, prompts).exists() else bench.questions * each
    return left


def work(asked: Asked, seeds: int) -> None:
    """Train and ask every arm that is not done."""
    everything = list(units(seeds))
    for arm, seed in (bar := tqdm(everything, unit="arm")):
        bar.set_description(f"{arm.name}, seed {seed}")
        asked.bench.train(arm, seed)
        for of in SETS:
            for prompts in prompts_of(arm):
                asked.records(arm, seed, of, prompts)


def found(asked: Asked, seeds: int) -> dict:
    """Everything that the page tells, from what lies in the bench's folders."""
    answers, costs = {}, {}
    for arm in ARMS.values():
        own = [seed for other, seed in units(seeds) if other is arm]
        for prompts in prompts_of(arm):
            name = arm.name if prompts == "both" else f"{arm.name} {prompts}"
            answers[name] = {of.name: [asked.records(arm, seed, of, prompts) for seed in own] for of in SETS}
        trained = [asked.bench.trained(arm, seed) for seed in own]
        costs[arm.name] = {
            "steps": round(float(np.mean([each.steps for each in trained]))),
            "passes": float(np.mean([each.passes for each in trained])),
            "cpu_minutes": float(np.mean([each.cpu_seconds for each in trained])) / 60,
            "cpu_seconds_each": [each.cpu_seconds for each in trained],
        }
    bench = asked.bench
    about = {
        "start": fingerprint(str(bench.start)),
        "segmenter": fingerprint(MINI.segmenter),
        "recipe": recipe_digest(),
        "steps": bench.steps,
        "questions_a_step": bench.batch,
        "questions": bench.questions,
        "seeds": list(range(1, seeds + 1)),
    }
    return {**about, "costs": costs, **results(answers)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--start", type=Path, default=Path(MINI.reasoner), metavar="FOLDER", help="a reasoner of the mini's")
    add("--steps", type=int, default=40, help="of the optimizer in each training (default: 40)")
    add("--seeds", type=int, default=3, help="trainings of each arm (default: 3)")
    add("--questions", type=int, default=200, help="in each set that the arms are asked (default: 200)")
    add("--results", type=Path, default=REPO / "benchmarks" / "results", metavar="FOLDER")
    add(
        "--page",
        type=Path,
        default=REPO / "docs" / "claims.md",
        metavar="FILE",
        help="with the tables' marks",
    )
    args = parser.parse_args()
    if min(args.steps, args.seeds, args.questions) < 1:
        parser.error("--steps, --seeds and --questions are at least 1")
    torch.set_num_threads(1)  # several spin while they wait, and CPU-seconds would count that
    try:
        bench = Bench.of(args.start, args.steps, args.questions)
        asked = Asked(bench, Segmenter.load(MINI.segmenter, device="cpu"))
        print(f"{bench.root}: about {estimate(asked, args.seeds) / 60:.0f} minutes of one core are left")
        work(asked, args.seeds)
        told = found(asked, args.seeds)
    except (DatasetError, ModelError) as error:
        sys.exit(f"benchmarks.claims: {error}")
    args.results.mkdir(parents=True, exist_ok=True)
    (args.results / "claims.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    for claim in CLAIMS:
        draw(claim, told, args.results / f"claims_{claim.letter}.png")
    fill(args.page, told, args.results)
    print(f"written: {args.results / 'claims.json'}, a picture for each claim, and the tables of {args.page}")


if __name__ == "__main__":
    main()
