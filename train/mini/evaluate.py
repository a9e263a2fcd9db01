"""The mini's report card: 1,000 test scenes whose sprites, backgrounds and wordings were never trained on.

    python -m train.mini.evaluate                       # the bundled weights -> assets/mini/results.json
    python -m train.mini.evaluate --reasoner runs/reasoner/model --results runs/reasoner/results.json

Prints and writes: the segmenter's mean IoU from each object's true box and point; for the whole pipeline,
from picture and question to mask, gIoU (both empty counts 1, an unreadable answer 0) overall and per kind of
question, the share of answers that parse, and the median time a question takes (`taskset -c 1` for that of
one core). One line per question goes to a JSONL beside the results, from
which an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

import segzero
from segzero.contract import Target
from train.mini.language import KINDS, Question, load_knowledge, sample_question
from train.mini.world import Composer, Scene, World

SEED = 20_260_000


def test_case(composer: Composer, index: int, split: str) -> tuple[Scene, Question | None]:
    """Scene `index` of the test set with one question; the kinds take turns, where a scene allows it."""
    rng = np.random.default_rng([SEED, index])
    ratio = float(np.exp(rng.uniform(-0.45, 0.45)))
    scene = composer.scene(rng, (int(384 * ratio**0.5), int(384 / ratio**0.5)))
    wanted = KINDS[index % len(KINDS)]
    asked = sample_question(scene, rng, split, 12)
    return scene, next(
        (question for question in asked if question.kind == wanted), asked[0] if asked else None
    )


def iou(predicted: np.ndarray, true: np.ndarray) -> float:
    """Intersection over union of two (H, W) bool masks; 1 when both are empty."""
    union = np.logical_or(predicted, true).sum()
    return float(np.logical_and(predicted, true).sum() / union) if union else 1.0


def judge(pipeline, scene: Scene, question: Question) -> dict:
    """One line of the report: what was asked, what came back, how well both models did."""
    image = Image.fromarray(scene.image)
    height, width = scene.image.shape[:2]
    truth = np.zeros((height, width), bool)
    for index in question.targets:
        truth |= scene.objects[index].mask
    result = pipeline.run(image, question.text)
    targets = [Target(tuple(map(float, t.box_xyxy)), (tuple(map(float, t.point_xy)),)) for t in scene.objects]
    masks = pipeline.segmenter.segment(image, targets).masks
    return {
        "kind": question.kind,
        "question": question.text,
        "raw": result.raw,
        "status": result.status,
        "iou": iou(result.mask, truth),
        "said_none": result.status == "no_target",
        "is_none": not question.targets,
        "segmenter_ious": [iou(mask, thing.mask) for mask, thing in zip(masks, scene.objects, strict=True)],
        "seconds": result.seconds["total"],
    }


def summary(lines: list[dict]) -> dict:
    """The report card of `judge`'s lines."""
    by_kind = defaultdict(list)
    for line in lines:
        by_kind[line["kind"]].append(line["iou"])
    segmenter = [value for line in lines for value in line["segmenter_ious"]]
    none = [line["said_none"] for line in lines if line["is_none"]]
    some = [line["said_none"] for line in lines if not line["is_none"]]
    return {
        "scenes": len(lines),
        "segmenter_miou_true_prompt": _mean(segmenter),
        "pipeline_giou": _mean([line["iou"] for line in lines]),
        "answers_that_parse": _mean([line["status"] != "unreadable" for line in lines]),
        "giou_by_kind": {kind: _mean(by_kind[kind]) for kind in KINDS if by_kind[kind]},
        "questions_by_kind": {kind: len(by_kind[kind]) for kind in KINDS if by_kind[kind]},
        "none_said_when_none": _mean(none),
        "none_said_when_some": _mean(some),
        "median_seconds": round(float(np.median([line["seconds"] for line in lines])), 3),
    }


def _mean(values: list) -> float | None:
    return round(float(np.mean(values)), 4) if values else None


def fingerprint(*folders: str) -> str:
    """Eight hex digits of the weights in these folders, so that no run goes on from another model's lines."""
    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted(Path(folder).glob("*.safetensors")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--split", default="test", choices=["test", "style"])
    parser.add_argument("--reasoner", help="folder of another reasoner than the bundled one")
    parser.add_argument("--segmenter", help="folder of another segmenter than the bundled one")
    parser.add_argument("--results", type=Path, default=Path("assets/mini/results.json"))
    args = parser.parse_args()
    pipeline = segzero.load("mini", reasoner=args.reasoner, segmenter=args.segmenter)
    composer = Composer(World.load(concepts=set(load_knowledge().taught)), args.split)
    preset = pipeline.preset
    path = Path("runs/evaluate") / f"{fingerprint(preset.reasoner, preset.segmenter)}-{args.split}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.loads(line) for line in path.open(newline="\n")] if path.exists() else []
    with path.open("a") as file:
        for index in tqdm(
            range(len(lines), args.scenes), initial=len(lines), total=args.scenes, unit="scene"
        ):
            scene, question = test_case(composer, index, "test")
            if question is not None:
                lines.append(judge(pipeline, scene, question))
                file.write(json.dumps(lines[-1]) + "\n")
                file.flush()
    card = summary(lines[: args.scenes])
    args.results.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(args.results.read_text()) if args.results.exists() else {}
    args.results.write_text(json.dumps({**known, args.split: card}, indent=2) + "\n")
    print(json.dumps(card, indent=2))


if __name__ == "__main__":
    main()
