"""What trains the mini reasoner: one hand-made scene, its question, and where every token should look."""

import numpy as np
import pytest
import torch

from segzero.contract import MULTI, Frame, parse_answer
from train.mini.language import Question
from train.mini.language.knowledge import names
from train.mini.language.tokenizer import build_processor, build_tokenizer
from train.mini.learning.reasoner_data import IGNORE, Encoder, collate, words_only
from train.mini.world import Scene, SceneObject

ASKED = Question("affordance", "what keeps me dry?", "Rain is wet. The umbrella helps.", (1,))
NONE = Question("none", "the car", "There is no car here.", ())


def thing(concept, x1, y1, x2, y2):
    mask = np.zeros((168, 336), bool)
    mask[y1 : y2 + 1, x1 : x2 + 1] = True
    return SceneObject(concept, mask, (x1, y1, x2, y2), ((x1 + x2) // 2, (y1 + y2) // 2), None, "made-up")


@pytest.fixture(scope="module")
def scene():
    """336 x 168, squashed to 168 x 168: a dog top left, an umbrella bottom right."""
    image = np.zeros((168, 336, 3), np.uint8)
    return Scene(image, (thing("dog", 0, 0, 111, 55), thing("umbrella", 224, 112, 335, 167)))


@pytest.fixture(scope="module")
def encoder():
    texts = [ASKED.text, ASKED.thought, NONE.text, NONE.thought]
    return Encoder(build_processor(build_tokenizer(texts, names())), frame_px=168)


def answer_of(encoder, batch, row, number):
    ids = batch.packed.ids[row][
        (batch.packed.branch[row] == number) & torch.roll(batch.labels[row] != IGNORE, 1)
    ]
    return encoder.tokenizer.decode(ids.tolist())


def test_an_answer_is_written_as_the_dialect_writes_it_and_reads_back(encoder, scene):
    batch = collate(encoder, [scene], [[ASKED, NONE]])
    said = answer_of(encoder, batch, 0, 1)
    assert said == (
        "<think>Rain is wet. The umbrella helps.</think>"
        '<answer>[{"bbox_2d": [112,112,167,167], "point_2d": [140,139]}]</answer><|im_end|>'
    )
    (target,) = parse_answer(said, MULTI, Frame(frame_px=168), (336, 168)).targets
    assert target.box_xyxy == (224, 112, 334, 167)
    assert (
        answer_of(encoder, batch, 0, 2) == "<think>There is no car here.</think><answer>[]</answer><|im_end|>"
    )


def test_the_name_and_the_box_are_told_to_look_at_their_object(encoder, scene):
    batch = collate(encoder, [scene], [[ASKED]])
    ids = batch.packed.ids[0]
    looking = [encoder.tokenizer.decode([ids[at]]) for at in batch.look_at]
    assert looking == [" The", '[{"bbox_2d": [']
    corner = torch.zeros(6, 6, dtype=torch.bool)
    corner[4:, 4:] = True
    assert batch.look_cells.view(-1, 6, 6).equal(corner.expand(2, 6, 6))


def test_of_things_listed_each_name_and_each_place_looks_at_its_own(encoder, scene):
    said = "Counting from the left: first the dog at 28, second the umbrella at 140."
    asked = Question("ordinal", "the second thing from the left", said, (1,), listed=(0, 1))
    batch = collate(encoder, [scene], [[asked]])
    ids = batch.packed.ids[0]
    writes = [encoder.tokenizer.decode([ids[at + 1]]) for at in batch.look_at]
    assert writes == [" dog", "28", " umbrella", "140", "112"]
    top_left, bottom_right = torch.zeros(2, 6, 6, dtype=torch.bool)
    top_left[:2, :2] = bottom_right[4:, 4:] = True
    expected = torch.stack([top_left, top_left, *[bottom_right] * 3])
    assert batch.look_cells.view(-1, 6, 6).equal(expected)


def test_cells_know_their_concept_and_box(encoder, scene):
    batch = collate(encoder, [scene], [[]])
    concepts = batch.cell_concept.view(6, 6)
    assert encoder.concepts[concepts[0, 0] - 1] == "dog"
    assert encoder.concepts[concepts[5, 5] - 1] == "umbrella"
    assert (concepts > 0).sum() == 8
    assert batch.cell_box[0, 35].tolist() == [112, 112, 167, 167]


def test_an_empty_scene_has_nothing_to_see(encoder):
    batch = collate(encoder, [Scene(np.zeros((50, 90, 3), np.uint8), ())], [[NONE]])
    assert not batch.cell_concept.any() and not len(batch.look_at)


def test_words_only_ends_with_the_thought(encoder, scene):
    batch = words_only(encoder, [scene], [[ASKED, NONE]])
    assert len(batch.frames) == 0 and batch.packed.ids.shape[0] == 2
    said = [encoder.tokenizer.decode(row[row != IGNORE].tolist()) for row in batch.labels]
    assert said == [f"<think>{ASKED.thought}</think>", f"<think>{NONE.thought}</think>"]
