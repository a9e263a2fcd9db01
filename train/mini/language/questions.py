"""Questions about a composed scene, each with a short true thought and its answer.

    for question in sample(scene, rng, split="train", count=4):
        print(question.kind, question.text, question.thought, question.targets)

Every question is answerable from the scene's own facts, and only asked where nobody could disagree: an object
that borders on a need, a category, a colour or a name keeps that question from being asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from train.mini.language import looks
from train.mini.language import phrasings as say
from train.mini.language.knowledge import Concept, load_knowledge, with_article
from train.mini.language.phrasings import WAYS, corpus
from train.mini.language.view import Draft, View

__all__ = ["DEFAULT_WEIGHTS", "KINDS", "Question", "ask", "corpus", "sample_question"]

DEFAULT_WEIGHTS = {
    "name": 18.0, "affordance": 28.0, "category": 8.0, "attribute": 8.0, "spatial": 9.0, "ordinal": 4.0,
    "comparative": 6.0, "several": 17.0, "none": 8.0,
}  # fmt: skip
KINDS = tuple(DEFAULT_WEIGHTS)
MOST_TARGETS = 5  # longer lists make a thought that nobody wants to read

if TYPE_CHECKING:
    from train.mini.world import Scene


@dataclass(frozen=True)
class Question:
    """targets: indices into scene.objects in the order the thought names them; () when nothing matches.

    listed: the objects that the thought goes through one by one, each with its place; often ().
    """

    kind: str
    text: str
    thought: str
    targets: tuple[int, ...]
    listed: tuple[int, ...] = ()


def sample_question(
    scene: Scene, rng: np.random.Generator, split: str, count: int, weights: Mapping[str, float] | None = None
) -> list[Question]:
    """Up to `count` different questions. split: "test" uses the phrasings kept for testing.

    weights: kind -> how often; kinds left out, or not offered by the scene, are not asked.
    """
    view, wording = View(scene), "test" if split == "test" else "train"
    left = dict(DEFAULT_WEIGHTS if weights is None else weights)
    menu: dict[str, list[Draft]] = {}
    questions: list[Question] = []
    while len(questions) < count and left:
        share = np.cumsum(list(left.values()))
        kind = list(left)[int(np.searchsorted(share, rng.random() * share[-1], side="right"))]
        if kind not in menu:
            menu[kind] = _MAKERS[kind](view, wording, rng)
        if not menu[kind]:
            del left[kind]
            continue
        draft = menu[kind].pop(int(rng.integers(len(menu[kind]))))
        text = _worded(draft, rng, opened=wording == "train")
        questions.append(Question(kind, text, draft.thought, draft.targets, draft.listed))
    return questions


def ask(scene: Scene, rng: np.random.Generator, split: str) -> list[Question]:
    """About ten different questions of mixed kinds, every kind that the scene offers equally likely."""
    return sample_question(scene, rng, split, count=10, weights=dict.fromkeys(KINDS, 1.0))


def _worded(draft: Draft, rng: np.random.Generator, opened: bool) -> str:
    """As people type: some capitals, question marks often left out, and (if `opened`) sometimes an opener."""
    pool = draft.pools[int(rng.integers(len(draft.pools)))]
    text = pool[int(rng.integers(len(pool)))].format_map(draft.slots or {})
    if opened and rng.random() < 0.1:
        text = say.OPENERS[int(rng.integers(len(say.OPENERS)))] + text
    if rng.random() < 0.35:
        text = text.removesuffix("?")
    return text[0].upper() + text[1:] if rng.random() < 0.3 else text


def _name(view: View, split: str, rng: np.random.Generator) -> list[Draft]:
    known = load_knowledge().concepts
    drafts = []
    for name, ids in view.by_concept.items():
        if len(ids) == 1 and view.clear(known[name]):
            slots = _called(known[name], rng)
            drafts.append(Draft((WAYS["name"][split],), say.think_named(name), ids, slots))
    return drafts


def _called(concept: Concept, rng: np.random.Generator) -> dict[str, str]:
    """The concept's own name, or sometimes another that people use."""
    if not concept.also or rng.random() < 0.7:
        return {"x": concept.name, "a_x": concept.one, "be": concept.verb}
    other = concept.also[int(rng.integers(len(concept.also)))]
    many = concept.form == "many"
    return {"x": other, "a_x": other if many else with_article(other), "be": concept.verb}


def _affordance(view: View, split: str, rng: np.random.Generator) -> list[Draft]:
    return [draft for draft in _needs(view, split) if len(draft.targets) == 1]


def _needs(view: View, split: str) -> list[Draft]:
    drafts = []
    for need in load_knowledge().needs:
        if view.present & need.members and not view.present & need.maybe:
            ids = view.members(need.members)
            thought = say.think_need(need, view.chosen(ids), view.places(ids))
            drafts.append(Draft(getattr(need, split), thought, ids, listed=_listed(ids)))
    return drafts


def _listed(ids: tuple[int, ...]) -> tuple[int, ...]:
    """One object is named; several are gone through one by one."""
    return ids if len(ids) > 1 else ()


def _category(view: View, split: str, rng: np.random.Generator) -> list[Draft]:
    return [
        Draft(
            (WAYS["category"][split],),
            say.think_category(category, view.chosen(ids)),
            ids,
            {"x": category.name, "a_x": category.one},
        )
        for category in load_knowledge().categories
        if not view.present & category.maybe and len(ids := view.members(category.members)) == 1
    ]


def _several(view: View, split: str, rng: np.random.Generator) -> list[Draft]:
    known = load_knowledge()
    drafts = [draft for draft in _needs(view, split) if 1 < len(draft.targets) < MOST_TARGETS]
    for name, ids in view.by_concept.items():
        if 1 < len(ids) <= MOST_TARGETS and view.clear(known.concepts[name]):
            thought = say.think_every(known.concepts[name], view.places(ids))
            slots = {"xs": known.concepts[name].plural}
            drafts.append(Draft((WAYS["every"][split],), thought, ids, slots, ids))
    for category in known.categories:
        ids = view.members(category.members)
        if 1 < len(ids) <= MOST_TARGETS and not view.present & category.maybe:
            thought = say.think_category(category, view.chosen(ids), view.places(ids))
            slots = {"x": category.name, "xs": category.plural}
            drafts.append(Draft((WAYS["every"][split], WAYS["every of"][split]), thought, ids, slots, ids))
    return drafts


def _none(view: View, split: str, rng: np.random.Generator) -> list[Draft]:
    """A few questions that nothing here answers: about half of them near misses of what is here."""
    return [_NONE[int(rng.choice(len(_NONE), p=NONE_SHARE))](view, split, rng) for _ in range(3)]


def _no_need(view: View, split: str, rng: np.random.Generator) -> Draft:
    needs = [need for need in load_knowledge().needs if not view.present & (need.members | need.maybe)]
    need = needs[int(rng.integers(len(needs)))]
    return Draft(getattr(need, split), say.think_need(need, []))


def _no_category(view: View, split: str, rng: np.random.Generator) -> Draft:
    absent = [
        group for group in load_knowledge().categories if not view.present & (group.members | group.maybe)
    ]
    category = absent[int(rng.integers(len(absent)))]
    slots = {"x": category.name, "xs": category.plural, "a_x": category.one}
    pools = (*[WAYS["category"][split]] * 3, WAYS["every"][split])
    return Draft(pools, say.think_category(category, []), (), slots)


def _no_name(view: View, split: str, rng: np.random.Generator) -> Draft:
    known = load_knowledge()
    absent = [c for c in known.concepts.values() if c.name not in view.present and view.clear(c)]
    if rng.random() < 0.5:  # a near miss: something of a kind that is here
        kin = {name for group in known.categories if group.members & view.present for name in group.members}
        absent = [concept for concept in absent if concept.name in kin] or absent
    concept = absent[int(rng.integers(len(absent)))]
    thought = say.think_missing(concept)
    if rng.random() < 0.2:
        return Draft((WAYS["every"][split],), thought, (), {"xs": concept.plural})
    return Draft((WAYS["name"][split],), thought, (), _called(concept, rng))


def _no_color(view: View, split: str, rng: np.random.Generator) -> Draft:
    drafts = looks.missing_color(view, split)
    return drafts[int(rng.integers(len(drafts)))] if drafts else _no_name(view, split, rng)


_NONE = (_no_need, _no_name, _no_category, _no_color)
NONE_SHARE = (0.4, 0.35, 0.13, 0.12)
_MAKERS = {
    "name": _name, "affordance": _affordance, "category": _category, "attribute": looks.attribute,
    "spatial": looks.spatial, "ordinal": looks.ordinal, "comparative": looks.comparative, "several": _several,
    "none": _none,
}  # fmt: skip
