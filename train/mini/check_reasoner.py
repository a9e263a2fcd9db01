"""How well a mini reasoner points: the boxes of its own free-running answers against the truth.

    python -m train.mini.check_reasoner runs/reasoner/model --split test --questions 256

Teacher-forced loss hides whether the right object is found; this does not. "right" is the share of the true
objects whose answer overlaps them more than any other object of the scene; "box" the mean IoU with the truth,
missing and superfluous boxes counting 0.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from segzero.contract import MINI, MULTI, Preset, box_iou, preset_for_folder
from segzero.reasoner import Reasoner
from train.mini.language import Question, load_knowledge, sample_question
from train.mini.learning.reasoner_stream import scene_size
from train.mini.world import Composer, Scene, World


def score(scene: Scene, question: Question, text: str, preset: Preset) -> dict[str, float]:
    """right, box and parsed of one answer; for a question that nothing matches, 1 for an honest `[]`."""
    wh = scene.image.shape[1], scene.image.shape[0]
    answer = preset.parse(text, wh)
    said = [target.box_xyxy for target in answer.targets]
    parsed = float(answer.status != "unreadable")
    if not question.targets:
        honest = float(answer.status == "no_target")
        return {"right": honest, "box": honest, "parsed": parsed}
    overlap = np.array([[box_iou(box, thing.box_xyxy) for thing in scene.objects] for box in said])
    hits = {int(row.argmax()) for row in overlap if row.max() > 0.1} if len(said) else set()
    right = len(hits & set(question.targets)) / max(len(question.targets), len(said))
    box = sum(max((row[i] for row in overlap), default=0.0) for i in question.targets)
    return {"right": right, "box": box / max(len(question.targets), len(said)), "parsed": parsed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--split", default="test", choices=["train", "test", "style"])
    parser.add_argument("--questions", type=int, default=256)
    parser.add_argument("--show", type=int, default=6, help="print this many answers")
    args = parser.parse_args()
    preset = preset_for_folder(args.model, MINI)
    reasoner = Reasoner.load(args.model, device="cpu", max_new_tokens=200)
    composer = Composer(World.load(concepts=set(load_knowledge().taught)), args.split)
    wording = "train" if args.split == "train" else "test"
    rng = np.random.default_rng(7)
    scores = defaultdict(list)
    for start in tqdm(range(0, args.questions, 32)):
        scenes = [composer.scene(rng, scene_size(rng)) for _ in range(32)]
        pairs = [
            (scene, question) for scene in scenes for question in sample_question(scene, rng, wording, 1)
        ]
        frames = [preset.frame.show(Image.fromarray(scene.image)) for scene, _ in pairs]
        texts = reasoner.generate(frames, [MULTI.prompt(question.text) for _, question in pairs])
        for (scene, question), text in zip(pairs, texts, strict=True):
            scores[question.kind].append(score(scene, question, text, preset))
            if start == 0 and len(scores[question.kind]) == 1 and len(scores) <= args.show:
                print(f"\n{question.text}\n  said: {text}\n  true: {question.thought}")
    everything = [line for lines in scores.values() for line in lines]
    for kind, lines in [*sorted(scores.items()), ("ALL", everything)]:
        means = {name: float(np.mean([line[name] for line in lines])) for name in lines[0]}
        print(
            f"{kind:12s} n={len(lines):4d} "
            + "  ".join(f"{name} {value:.3f}" for name, value in means.items())
        )


if __name__ == "__main__":
    main()
