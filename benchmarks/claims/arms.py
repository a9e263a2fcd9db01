"""The arms: each one training from the same start, done once and kept, with what it cost.

    bench = Bench.of(Path("assets/mini/reasoner"), steps=40, questions=200)
    bench.train(ARMS["grpo"], seed=1); bench.model(ARMS["grpo"], seed=1)   # its folder

An arm of a seed is a folder of runs/claims: model/, training.json (written last: an arm with it is done) and
its answers. The folder above is named by the start's weights, the recipe's values and the steps, so that
nothing of another run is taken for this one's.
"""

from __future__ import annotations

import gc
import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time
from typing import Literal

import yaml

from benchmarks.claims import data, sft
from benchmarks.claims.single_dialect import in_single_dialect
from segzero.contract import PRESETS, preset_for_folder
from segzero.data import DatasetError
from segzero.reasoner import load_processor
from train import grpo
from train.arguments import DEFAULT_RECIPE, read_arguments
from train.data import load
from train.mini.evaluate import fingerprint
from train.rewards import RECIPES, Reward, items_format

ROOT = Path("runs/claims")
NO_THOUGHT = "{% if add_generation_prompt %}<think></think>{% endif %}"
"""Behind a chat template: the assistant's turn begins with an empty thought, as Qwen3's can."""


@dataclass(frozen=True)
class Arm:
    """learns: from nothing, from the true answers, or from rewards for its own answers. thinks: before it
    answers. like: the arm whose CPU-seconds it gets, in place of one pass over the questions."""

    name: str
    about: str
    learns: Literal["nothing", "answers", "rewards"]
    thinks: bool
    rewards: Sequence[Reward] = ()
    like: str = ""


_OWN, _SUCCESSOR = RECIPES["segzero"], RECIPES["vision_reasoner"]
_LOOSE = tuple(reward for reward in _SUCCESSOR if reward is not items_format)
_FIRST = tuple(in_single_dialect(reward) for reward in RECIPES["seg_zero"])
ARMS = {
    arm.name: arm
    for arm in (
        Arm("start", "the start", "nothing", True),
        Arm("start_no_thought", "the start, no thought", "nothing", False),
        Arm("grpo", "GRPO, `segzero`", "rewards", True, _OWN),
        Arm("grpo_no_thought", "GRPO, `segzero`, no thought", "rewards", False, _OWN),
        Arm("sft", "answers alone", "answers", False),
        Arm("sft_long", "answers alone, as long as GRPO", "answers", False, like="grpo"),
        Arm("vision_reasoner", "GRPO, `vision_reasoner`", "rewards", True, _SUCCESSOR),
        Arm("vision_reasoner_loose", "GRPO, `vision_reasoner` less `items_format`", "rewards", True, _LOOSE),
        Arm("seg_zero", "GRPO, `seg_zero`", "rewards", True, _FIRST),
    )
}
"""In the order in which a seed's are trained: what another's length is taken from comes before it."""


@dataclass(frozen=True)
class Trained:
    """What a training took. passes: over its questions. cpu_seconds: of the processor."""

    steps: int
    passes: float
    cpu_seconds: float


@dataclass(frozen=True)
class Bench:
    """What all arms have in common.

    start: a reasoner's folder. root: where everything is kept. steps: of the optimizer. batch: questions a
    step, freeze_vision: whether the vision tower stays as it is, both as the recipe has it. questions: in
    each set they are asked.
    """

    start: Path
    root: Path
    steps: int
    batch: int
    freeze_vision: bool
    questions: int

    @classmethod
    def of(cls, start: Path, steps: int, questions: int) -> Bench:
        """Raises SystemExit, DatasetError and OSError for what is no start or no recipe."""
        if not list(start.glob("*.safetensors")):
            raise DatasetError(f"{start} holds no weights; name a reasoner's folder")
        run, args, _, _ = read_arguments(["--output_dir", str(ROOT)])
        batch = args.per_device_train_batch_size * args.gradient_accumulation_steps // args.num_generations
        root = ROOT / f"{fingerprint(str(start))}-{recipe_digest()}-{steps}"
        return cls(start, root, steps, batch, run.freeze_vision, questions)

    def folder(self, arm: Arm, seed: int) -> Path:
        return self.root / (arm.name if arm.learns == "nothing" else f"{arm.name}-{seed}")

    def model(self, arm: Arm, seed: int) -> Path:
        """The folder of an arm's weights; of a start, that of what others begin with."""
        return self.folder(arm, seed) / "model" if arm.learns != "nothing" else self.beginning(arm)

    def beginning(self, arm: Arm) -> Path:
        """What an arm begins with: the start, or its weights with a template that skips the thought."""
        if arm.thinks:
            return self.start
        folder = self.root / "start_no_thought" / "model"
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(self.start, part)
            processor = load_processor(self.start)
            processor.chat_template += NO_THOUGHT
            processor.save_pretrained(part)
            part.rename(folder)
        return folder

    def done(self, arm: Arm, seed: int) -> bool:
        return arm.learns == "nothing" or (self.folder(arm, seed) / "training.json").exists()

    def trained(self, arm: Arm, seed: int) -> Trained:
        """What a training that is done took; nothing for a start."""
        if arm.learns == "nothing":
            return Trained(0, 0.0, 0.0)
        return Trained(**json.loads((self.folder(arm, seed) / "training.json").read_text()))

    def train(self, arm: Arm, seed: int) -> None:
        """Train an arm, unless it is done; one that was interrupted begins anew."""
        if self.done(arm, seed):
            return
        folder = self.folder(arm, seed)
        shutil.rmtree(folder, ignore_errors=True)
        rows = data.written(ROOT / "data", data.TRAINING, self.steps * self.batch, seed)
        trained = (
            self._on_answers(arm, seed, rows)
            if arm.learns == "answers"
            else self._on_rewards(arm, seed, rows)
        )
        (folder / "training.json").write_text(json.dumps(asdict(trained), indent=2) + "\n")

    def _on_answers(self, arm: Arm, seed: int, folder: Path) -> Trained:
        preset = preset_for_folder(self.start, PRESETS["mini"])
        rows, report = load(folder, preset)
        if len(rows) != self.steps * self.batch:
            raise DatasetError(f"not all rows can be used: {report}")
        steps = self.steps
        if arm.like:
            once, budget = self.trained(ARMS["sft"], seed), self.trained(ARMS[arm.like], seed)
            steps = max(steps, round(budget.cpu_seconds / once.cpu_seconds * once.steps))
        seconds = sft.train(
            self.beginning(arm),
            rows,
            steps=steps,
            batch=self.batch,
            freeze_vision=self.freeze_vision,
            seed=seed,
            out=self.model(arm, seed),
        )
        return Trained(steps, steps / self.steps, round(seconds, 1))

    def _on_rewards(self, arm: Arm, seed: int, folder: Path) -> Trained:
        out = self.folder(arm, seed) / "grpo"
        began = process_time()
        trainer = grpo.main(self.grpo_arguments(arm, seed, folder, out), rewards=arm.rewards)
        seconds, steps = process_time() - began, trainer.state.global_step
        del trainer
        gc.collect()
        (out / "model").rename(self.model(arm, seed))
        shutil.rmtree(out)
        return Trained(steps, steps / self.steps, round(seconds, 1))

    def grpo_arguments(self, arm: Arm, seed: int, folder: Path, out: Path) -> list[str]:
        """train/grpo.py's command line: the recipe, each question once, nothing held out."""
        given = {
            "model_name_or_path": self.beginning(arm),
            "data": folder.resolve(),
            "rows": self.steps * self.batch,
            "max_steps": self.steps,
            "output_dir": out,
            "seed": seed,
            "held_out": "",
            "eval_strategy": "no",
            "eval_on_start": "false",
            "load_best_model_at_end": "false",
            "save_strategy": "no",
            "sheet_steps": 0,
            "report_to": "none",
        }
        return [part for name, value in given.items() for part in (f"--{name}", str(value))]


def recipe_digest() -> str:
    """Six hex digits of the recipe's values; its comments do not count."""
    values = yaml.safe_load(DEFAULT_RECIPE.read_text(encoding="utf-8"))
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:6]
