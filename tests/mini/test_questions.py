"""The mini's knowledge and questions: facts hang together, questions are true, test wordings stay unseen."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from train.mini.language import KINDS, load_knowledge, name_forms, sample_question
from train.mini.language.knowledge import names
from train.mini.language.questions import ask, corpus
from train.mini.world import Scene, SceneObject

WIDTH, HEIGHT = 200, 120


def scene_of(*things) -> Scene:
    """things: (concept, (x1, y1, x2, y2)) or (concept, box, color); every mask fills its box."""
    objects = []
    for number, (concept, box, *color) in enumerate(things):
        x1, y1, x2, y2 = box
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[y1 : y2 + 1, x1 : x2 + 1] = True
        point = ((x1 + x2) // 2, (y1 + y2) // 2)
        objects.append(SceneObject(concept, mask, box, point, color[0] if color else None, f"fake-{number}"))
    return Scene(np.zeros((HEIGHT, WIDTH, 3), np.uint8), tuple(objects))


def everything(scene: Scene, kind: str, split: str = "train", draws: int = 60) -> dict:
    """text -> (thought, targets) of many draws of one kind, lower-cased and without the question mark."""
    found = {}
    for seed in range(draws):
        for question in sample_question(scene, np.random.default_rng(seed), split, 8, {kind: 1.0}):
            assert question.kind == kind
            found[question.text.lower().removesuffix("?")] = (question.thought, question.targets)
    return found


YARD = scene_of(
    ("dog", (10, 60, 40, 90)),
    ("umbrella", (90, 10, 130, 50), "red"),
    ("banana", (160, 80, 190, 100), "yellow"),
)


# --- knowledge ---


def test_every_concept_has_a_plural_and_a_way_to_be_reached():
    known = load_knowledge()
    reached = Counter(name for group in (*known.categories, *known.needs) for name in group.members)
    assert len(known.concepts) == 138
    assert all(concept.plural for concept in known.concepts.values())
    assert [name for name in known.concepts if not reached[name]] == []
    thin = [name for name in known.concepts if reached[name] < 2]
    print(f"{len(known.categories)} categories, {len(known.needs)} needs; reached once only: {thin}")


def test_needs_have_members_and_phrasings_of_their_own():
    for need in load_knowledge().needs:
        assert need.members, need.name
        assert re.match(r"(something|an animal) that \w+", need.clause), need.clause
        assert len(need.train[0]) >= 3 and len(need.test[0]) >= 2, need.name


def test_no_question_has_two_answers():
    """A wording serves one need only, and nothing asked in training is kept for testing."""
    owners = Counter()
    for need in load_knowledge().needs:
        owners.update({way for way in (*need.train[0], *need.train[1], *need.test[0], *need.test[1])})
    assert [way for way, count in owners.items() if count > 1] == []
    for need in load_knowledge().needs:
        assert not {*need.train[0], *need.train[1]} & {*need.test[0], *need.test[1]}, need.name


def test_test_wordings_use_only_words_of_the_training_corpus():
    seen = {word for text in corpus() for word in re.findall(r"[\w'-]+", text.lower())}
    unseen = {
        (need.name, word)
        for need in load_knowledge().needs
        for way in (*need.test[0], *need.test[1])
        for word in re.findall(r"[\w'-]+", way)
        if word not in seen
    }
    print(f"{len(seen)} words in training")
    assert unseen == set()


def test_a_thought_names_only_objects_it_chooses():
    """A need's clause may say a concept's name only if that concept serves it or blocks it."""
    forms = name_forms()
    for need in load_knowledge().needs:
        said = {forms[form] for form in forms if re.search(rf"\b{re.escape(form)}\b", need.clause)}
        assert said <= need.members | need.maybe, need.clause


def test_names_are_concepts_and_plurals():
    assert name_forms()["dogs"] == "dog" and name_forms()["pairs of scissors"] == "scissors"
    assert {"dog", "dogs", "fire engine", "sheep"} <= set(names())


# --- one kind at a time ---


def test_name():
    asked = everything(YARD, "name")
    assert asked["find the umbrella"] == ("The question is about the umbrella.", (1,))
    assert asked["is there an umbrella here"][1] == (1,)
    assert {targets for _, targets in asked.values()} == {(0,), (1,), (2,)}


def test_two_of_a_name_or_a_lookalike_is_not_asked_by_name():
    two = scene_of(
        ("dog", (0, 0, 20, 20)),
        ("dog", (50, 0, 70, 20)),
        ("tree", (0, 60, 20, 90)),
        ("palm tree", (60, 60, 90, 90)),
    )
    assert {thought for thought, _ in everything(two, "name").values()} == {
        "The question is about the palm tree."
    }


def test_affordance():
    asked = everything(YARD, "affordance", draws=200)
    thought = "Something that keeps rain off is needed. The umbrella does that."
    assert asked["what could keep me dry"] == (thought, (1,))
    assert asked["who barks"] == ("An animal that barks is wanted. The dog does that.", (0,))
    assert all(len(targets) == 1 for _, targets in asked.values())


def test_affordance_grammar_of_plural_nouns_and_of_has():
    scene = scene_of(("scissors", (0, 0, 20, 20)), ("giraffe", (50, 0, 70, 90)))
    thoughts = {thought for thought, _ in everything(scene, "affordance", draws=60).values()}
    assert "Something that cuts paper is needed. The scissors do that." in thoughts
    assert "An animal that has a long neck is wanted. The giraffe has that." in thoughts


def test_a_borderline_object_silences_the_need():
    scene = scene_of(("umbrella", (0, 0, 20, 20)), ("tent", (50, 0, 90, 40)))
    assert not any("keeps rain off" in thought for thought, _ in everything(scene, "affordance").values())


def test_category():
    asked = everything(YARD, "category", draws=60)
    assert asked["which one is a fruit"] == ("The banana is a fruit.", (2,))
    assert asked["find the food"] == ("The banana is food.", (2,))
    assert asked["which one is an animal"] == ("The dog is an animal.", (0,))


def test_attribute():
    scene = scene_of(
        ("car", (0, 0, 30, 20), "red"),
        ("car", (50, 0, 80, 20), "blue"),
        ("sheep", (0, 60, 30, 90), "white"),
        ("cow", (60, 60, 100, 90), "brown"),
        ("bus", (120, 0, 190, 40)),
    )
    asked = everything(scene, "attribute", draws=60)
    assert asked["the red car"] == ("The question is about the red car.", (0,))
    assert asked["which animal is white"] == ("The white animal is the sheep.", (2,))
    assert not any("vehicle" in text for text in asked)  # the bus has many colours


def test_spatial():
    asked = everything(YARD, "spatial", draws=60)
    assert asked["the leftmost thing"] == ("The leftmost thing is the dog.", (0,))
    assert asked["the rightmost object"] == ("The rightmost object is the banana.", (2,))
    dogs = scene_of(("dog", (100, 60, 140, 90)), ("dog", (10, 60, 40, 90)), ("cow", (150, 60, 190, 90)))
    asked = everything(dogs, "spatial", draws=60)
    assert asked["the dog on the left"] == ("The question is about the leftmost dog.", (1,))
    assert asked["what is to the left of the cow"] == ("To the left of the cow is the dog.", (0,))
    assert asked["the leftmost animal"] == ("The leftmost animal is the dog.", (1,))


def test_ordinal():
    cows = scene_of(("cow", (150, 60, 190, 90)), ("cow", (10, 60, 40, 90)), ("horse", (80, 60, 110, 90)))
    asked = everything(cows, "ordinal", draws=60)
    # Their middles are 25 and 95 of 200 pixels across, in a frame of 280.
    second = "Counting from the left: first the cow at 35, second the horse at 133."
    assert asked["the second animal from the left"] == (second, (2,))
    assert asked["the first cow from the right"] == ("Counting from the right: first the cow at 238.", (0,))
    assert not any("from the top" in text for text in asked)  # they stand level


def test_comparative():
    cows = scene_of(("cow", (150, 60, 190, 110)), ("dog", (10, 60, 40, 90)), ("cow", (80, 60, 100, 80)))
    asked = everything(cows, "comparative", draws=60)
    assert asked["the biggest animal"] == ("The largest animal is the cow.", (0,))
    assert asked["find the smallest cow"] == ("The question is about the smallest cow.", (2,))


def test_several_are_named_from_left_to_right():
    scene = scene_of(
        ("cow", (150, 60, 190, 90)),
        ("dog", (10, 60, 40, 90)),
        ("dog", (80, 60, 110, 90)),
        ("knife", (10, 5, 40, 20)),
    )
    asked = everything(scene, "several", draws=60)
    assert asked["all dogs"] == ("The dog at 35 and another dog at 133 are all the dogs.", (1, 2))
    assert asked["which of these are animals"] == (
        "The dog at 35, another dog at 133 and the cow at 238 are animals.",
        (1, 2, 0),
    )
    umbrellas = scene_of(("umbrella", (100, 0, 140, 40)), ("umbrella", (10, 0, 50, 40)))
    assert everything(umbrellas, "several", draws=200)["what could keep me dry"] == (
        "Something that keeps rain off is needed. The umbrella at 42 and another umbrella at 168 do that.",
        (1, 0),
    )


def test_none():
    asked = everything(YARD, "none", draws=400)
    assert all(targets == () for _, targets in asked.values())
    thoughts = {thought for thought, _ in asked.values()}
    assert "Nothing here is a vehicle." in thoughts
    assert "There is no cat here." in thoughts
    assert "There is no green umbrella here." in thoughts
    assert "Something that cuts wood is needed. Nothing here does that." in thoughts
    assert not any("keeps rain" in thought or "purple umbrella" in thought for thought in thoughts)


# --- the mix ---


def test_same_seed_same_questions():
    assert sample_question(YARD, np.random.default_rng(7), "train", 8) == sample_question(
        YARD, np.random.default_rng(7), "train", 8
    )
    assert ask(YARD, np.random.default_rng(1), "val") == ask(YARD, np.random.default_rng(1), "train")


def test_ask_mixes_kinds_without_repeating():
    asked = ask(YARD, np.random.default_rng(3), "train")
    assert len(asked) == 10 and len({question.kind for question in asked}) >= 5
    assert {question.kind for question in asked} <= set(KINDS)
    assert len({(question.kind, question.thought) for question in asked if question.kind != "none"}) >= 7


@pytest.mark.parametrize("kind", KINDS)
def test_test_split_never_uses_a_training_wording(kind):
    scene = scene_of(
        ("dog", (10, 60, 40, 90), "brown"),
        ("dog", (100, 60, 160, 110), "white"),
        ("car", (60, 10, 90, 40), "red"),
    )
    assert not set(everything(scene, kind, "train", 60)) & set(everything(scene, kind, "test", 60))


def test_an_empty_scene_still_gets_a_none_question():
    asked = sample_question(scene_of(), np.random.default_rng(0), "train", 2)
    assert [question.kind for question in asked] == ["none", "none"]


def test_thoughts_are_short_and_name_each_target():
    rng = np.random.default_rng(5)
    pool = list(load_knowledge().concepts)
    for _ in range(200):
        boxes = [(x, y, x + 15, y + 25) for x, y in rng.integers(0, 80, (5, 2)).tolist()]
        scene = scene_of(*((pool[int(rng.integers(len(pool)))], box) for box in boxes))
        for question in sample_question(scene, rng, "train", 6):
            assert len(question.thought.split()) <= 36, question
            at = 0
            for index in question.targets:
                at = question.thought.index(scene.objects[index].concept, at) + 1
            assert question.text == question.text.strip() and "{" not in question.text
