"""What the mini knows about everyday things: names, categories, and which thing serves which need.

The facts are written by hand in knowledge.json; this module reads them and adds the grammar:

    python -m train.mini.language.knowledge        # prints how much there is, and what is thin

A need lists EVERY concept that serves it and, under "maybe", those about which people could disagree; a
picture that shows a "maybe" is never asked about that need. "@fruit" in a list stands for all fruits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

KNOWLEDGE = Path(__file__).with_name("knowledge.json")
# Ways to say any need, from its "do" phrases ("stay dry in the rain"), its "take" phrases, which lack their
# object ("sit on"), and its clause ("something that keeps rain off").
DO_TRAIN = (
    "what could i use to {do}?", "something to {do}", "i want to {do}", "what do i need to {do}?",
    "i need something to {do}", "how can i {do}?",
)  # fmt: skip
DO_TEST = ("what can i use to {do}?", "i want something to {do}")
TAKE_TRAIN = ("something to {do}", "what can i {do}?", "i want something to {do}", "which one could i {do}?")
TAKE_TEST = ("what could i {do}?", "i need something to {do}")
THING_TRAIN = ("something that {verb}", "what {verb}?", "which one {verb}?", "find something that {verb}")
THING_TEST = ("which of these {verb}?", "the one that {verb}")
ANIMAL_TRAIN = (
    "which animal {verb}?",
    "the animal that {verb}",
    "who {verb}?",
    "find the animal that {verb}",
)
ANIMAL_TEST = ("show me the animal that {verb}", "which animal here {verb}?")


@dataclass(frozen=True)
class Concept:
    """form: "one" (the dog is), "many" (the scissors are) or "mass" (the bread is).

    also: other names people type.  near: concepts that the same name could mean; with one of them in the
    picture nobody asks for this concept by name.  tan: what measures as orange, pink or yellow on it is some
    shade of brown or gold to most people.
    """

    name: str
    plural: str
    form: str
    also: tuple[str, ...]
    near: frozenset[str]
    tan: bool

    @property
    def verb(self) -> str:
        return "are" if self.form == "many" else "is"

    @property
    def one(self) -> str:
        """With its article: "an umbrella", "scissors", "bread"."""
        return with_article(self.name) if self.form == "one" else self.name


@dataclass(frozen=True)
class Category:
    """one: "a fruit", or the bare name where it counts no pieces ("food")."""

    name: str
    plural: str
    one: str
    members: frozenset[str]
    maybe: frozenset[str]


@dataclass(frozen=True)
class Need:
    """clause: "something that keeps rain off".  train, test: ways to ask, its own and the general ones."""

    name: str
    clause: str
    members: frozenset[str]
    maybe: frozenset[str]
    train: tuple[tuple[str, ...], tuple[str, ...]]
    test: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def verb(self) -> str:
        return self.clause.split(" that ", 1)[1]

    @property
    def wish(self) -> str:
        """The thought's first sentence."""
        return f"{capital(self.clause)} is {'wanted' if self.clause.startswith('an animal') else 'needed'}."

    def met(self, many: bool) -> str:
        """How the thought says that something serves: "does that", "can do that", "have that"."""
        first = self.verb.split()[0]
        if first == "can":
            return "can do that"
        if first == "has":
            return "have that" if many else "has that"
        return "do that" if many else "does that"


@dataclass(frozen=True)
class Knowledge:
    """taught: the concepts whose pictures the shipped mini was trained on; it has read of the others only."""

    concepts: dict[str, Concept]
    taught: tuple[str, ...]
    categories: tuple[Category, ...]
    needs: tuple[Need, ...]


def with_article(noun: str) -> str:
    """ "umbrella" -> "an umbrella" (no word of ours starts with a silent h or a spoken "you")."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


@lru_cache(maxsize=1)
def load_knowledge() -> Knowledge:
    """Everything in knowledge.json. Raises KeyError when a list names a concept that does not exist."""
    raw = json.loads(KNOWLEDGE.read_text(encoding="utf-8"))
    concepts = {
        name: Concept(
            name,
            entry["plural"],
            entry.get("form", "one"),
            tuple(entry.get("also", ())),
            frozenset(_expand(entry.get("near", ()), raw)),
            entry.get("tan", False),
        )
        for name, entry in raw["concepts"].items()
    }
    return Knowledge(
        concepts,
        tuple(raw["taught"]),
        tuple(_category(name, entry, raw) for name, entry in raw["categories"].items()),
        tuple(_need(name, entry, raw) for name, entry in raw["needs"].items()),
    )


def names() -> list[str]:
    """Every name and plural of a concept: the forms a thought may use."""
    return list(name_forms())


def name_forms() -> dict[str, str]:
    """Every form a thought may use -> its concept: {"dog": "dog", "dogs": "dog", ...}."""
    forms = {}
    for concept in load_knowledge().concepts.values():
        forms[concept.name] = forms[concept.plural] = concept.name
    return forms


def _expand(entries, raw: dict) -> set[str]:
    found: set[str] = set()
    for entry in entries:
        if entry.startswith("@"):
            found |= _expand(raw["categories"][entry[1:]]["concepts"], raw)
        elif entry in raw["concepts"]:
            found.add(entry)
        else:
            raise KeyError(f"knowledge.json lists {entry!r}, which is no concept of it")
    return found


def _members(entry: dict, raw: dict) -> tuple[frozenset[str], frozenset[str]]:
    members = _expand(entry["concepts"], raw)
    return frozenset(members), frozenset(_expand(entry.get("maybe", ()), raw) - members)


def _category(name: str, entry: dict, raw: dict) -> Category:
    return Category(name, entry["plural"], entry.get("a", with_article(name)), *_members(entry, raw))


def _need(name: str, entry: dict, raw: dict) -> Need:
    clause = entry["need"]
    verb = clause.split(" that ", 1)[1].lower()
    animal = clause.startswith("an animal")

    def ways(done, taken, claimed) -> tuple[str, ...]:
        return (
            *(shape.format(do=deed) for deed in entry.get("do", ()) for shape in done),
            *(shape.format(do=deed) for deed in entry.get("take", ()) for shape in taken),
            *(shape.format(verb=verb) for shape in claimed),
        )

    train = ways(DO_TRAIN, TAKE_TRAIN, ANIMAL_TRAIN if animal else THING_TRAIN)
    test = ways(DO_TEST, TAKE_TEST, ANIMAL_TEST if animal else THING_TEST)
    test = tuple(way for way in test if way not in (*entry["train"], *train))
    pools = (tuple(entry["train"]), train), (tuple(entry["test"]), test)
    return Need(name, clause, *_members(entry, raw), *pools)


def main() -> None:
    known = load_knowledge()
    print(f"{len(known.concepts)} concepts, {len(known.categories)} categories, {len(known.needs)} needs")
    train, test = (
        sum(len(own) + len(general) for own, general in pools)
        for pools in ([need.train for need in known.needs], [need.test for need in known.needs])
    )
    print(f"{train} ways to ask for a need in training, {test} kept for testing")
    for name in known.concepts:
        reached = [group.name for group in (*known.categories, *known.needs) if name in group.members]
        if len(reached) < 2:
            print(f"thin: {name} {reached}")


if __name__ == "__main__":
    main()
