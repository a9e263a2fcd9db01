"""How questions and thoughts are worded: templates, which of them only a test asks, and the training text.

    from train.mini.phrasings import WAYS, corpus
    WAYS["name"]["test"][0].format(x="umbrella", be="is")

Words of a test template all occur in some train template: the mini has read nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from train.mini.language.knowledge import Category, Concept, Knowledge, Need, load_knowledge

COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey")
ORDINALS = ("first", "second", "third", "fourth")
# side -> words for templates: the {most} dog, the dog {at}, which dog is {far}, the thing {rel} the dog
SIDES = {
    "left": {"most": "leftmost", "at": "on the left", "far": "furthest to the left", "rel": "to the left of"},
    "right": {
        "most": "rightmost",
        "at": "on the right",
        "far": "furthest to the right",
        "rel": "to the right of",
    },
    "top": {"most": "topmost", "at": "at the top", "far": "highest up", "rel": "above"},
    "bottom": {"most": "lowest", "at": "at the bottom", "far": "lowest down", "rel": "below"},
}
WAYS: dict[str, dict[str, tuple[str, ...]]] = {
    "name": {
        "train": (
            "{x}", "the {x}", "find the {x}", "where {be} the {x}?", "show me the {x}",
            "i am looking for the {x}", "can you find the {x}?", "segment the {x}", "please mark the {x}",
            "point at the {x}", "{a_x}", "can you see {a_x} in this picture?", "{be} there {a_x} here?",
            "i need the {x}", "give me the {x}",
        ),
        "test": ("where can i find the {x}?", "please show me the {x}", "mark the {x} in the picture"),
    },
    "category": {
        "train": (
            "the {x}", "find the {x}", "which one is {a_x}?", "where is the {x}?", "show me the {x}",
            "{a_x}", "what here is {a_x}?", "is there {a_x} here?", "i am looking for {a_x}",
            "which thing is {a_x}?",
        ),
        "test": ("which of these is {a_x}?", "please point at the {x}", "can you find {a_x}?"),
    },
    "every": {  # all instances of a concept, or all members of a category
        "train": (
            "{xs}", "all {xs}", "all the {xs}", "find all {xs}", "show me all the {xs}", "the {xs}",
            "mark all {xs}", "where are all the {xs}?", "please point at all {xs}",
            "can you find the {xs}?",
        ),
        "test": ("where are the {xs}?", "segment all the {xs}", "please find all the {xs}"),
    },
    "every of": {  # a category's members only: "which of these are animals?"
        "train": ("which of these are {xs}?", "which things are {xs}?", "every {x}", "find every {x}"),
        "test": ("mark every {x}", "which ones here are {xs}?"),
    },
    "color of": {
        "train": (
            "the {c} {x}", "find the {c} {x}", "which {x} {be} {c}?", "where {be} the {c} {x}?",
            "the {x} that {be} {c}",
        ),
        "test": ("show me the {c} {x}", "find the {x} that {be} {c}"),
    },
    "extreme": {
        "train": (
            "the {most} {x}", "find the {most} {x}", "which {x} {be} {far}?", "the {x} {far}",
            "where {be} the {most} {x}?",
        ),
        "test": ("show me the {most} {x}", "find the {x} that {be} {far}"),
    },
    "extreme of two": {
        "train": ("the {x} {at}", "find the {x} {at}", "which {x} {be} {at}?"),
        "test": ("show me the {x} {at}", "the {x} that {be} {at}"),
    },
    "relation": {
        "train": (
            "what is {rel} the {x}?", "the thing {rel} the {x}", "the object {rel} the {x}",
            "find the thing {rel} the {x}", "which object is {rel} the {x}?",
            "what do you see {rel} the {x}?",
        ),
        "test": ("show me the object {rel} the {x}", "which thing is {rel} the {x}?"),
    },
    "ordinal": {
        "train": (
            "the {nth} {x} {start}", "find the {nth} {x} {start}", "which is the {nth} {x} {start}?",
            "counting {start}, the {nth} {x}",
        ),
        "test": ("show me the {nth} {x} {start}", "where is the {nth} {x} {start}?"),
    },
    "size": {
        "train": (
            "the {big} {x}", "find the {big} {x}", "which {x} {be} the {big}?", "where {be} the {big} {x}?",
            "which {x} looks the {big}?", "the {big} {x} in the picture",
        ),
        "test": ("show me the {big} {x}", "which {x} {be} the {big} in this picture?"),
    },
}  # fmt: skip
START = {
    "left": "from the left",
    "right": "from the right",
    "top": "from the top",
    "bottom": "from the bottom",
}
# What people put before a question. It also shows each first word in the middle of a sentence.
OPENERS = ("in this picture, ", "please tell me, ", "please help: ", "hello, ")
LARGE, SMALL = ("largest", "biggest"), ("smallest", "tiniest")


def join(parts: Sequence[str]) -> str:
    """ "the dog", "the dog and the cow", "the dog, the cow and the cat"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def listing(concepts: Sequence[Concept], places: Sequence[int] = ()) -> str:
    """Names every object once, in order: "the dog, the cow and another dog".

    Of several with `places` it says where: "the dog at 12, the cow at 50 and another dog at 97".
    """
    parts, seen = [], set()
    for index, concept in enumerate(concepts):
        again = "another" if concept.form == "one" else "more"
        where = f" at {places[index]}" if len(places) > 1 else ""
        parts.append(f"{again if concept.name in seen else 'the'} {concept.name}{where}")
        seen.add(concept.name)
    return join(parts)


def think_named(words: str) -> str:
    return f"The question is about the {words}."


def think_need(need: Need, chosen: Sequence[Concept], places: Sequence[int] = ()) -> str:
    if not chosen:
        return f"{need.wish} Nothing here {need.met(many=False)}."
    named = listing(chosen, places)
    many = len(chosen) > 1 or chosen[0].form == "many"
    return f"{need.wish} T{named[1:]} {need.met(many)}."


def think_category(category: Category, chosen: Sequence[Concept], places: Sequence[int] = ()) -> str:
    if not chosen:
        return f"Nothing here is {category.one}."
    many = len(chosen) > 1 or chosen[0].form == "many"
    return f"T{listing(chosen, places)[1:]} {f'are {category.plural}' if many else f'is {category.one}'}."


def think_every(concept: Concept, places: Sequence[int]) -> str:
    return f"T{listing([concept] * len(places), places)[1:]} are all the {concept.plural}."


def think_missing(concept: Concept, color: str = "") -> str:
    return f"There {concept.verb} no {f'{color} ' if color else ''}{concept.name} here."


def think_found(words: str, concept: Concept) -> str:
    """words: "largest animal", "white pet", "rightmost thing" -> "The largest animal is the cow."""
    return f"The {words} is the {concept.name}."


def think_relation(side: str, anchor: Concept, found: Concept) -> str:
    where = SIDES[side]["rel"]
    return f"{where[0].upper()}{where[1:]} the {anchor.name} {found.verb} the {found.name}."


def think_counted(side: str, counted: Sequence[Concept], places: Sequence[int]) -> str:
    """counted: up to the one that is meant, the last; places: where they are along the count."""
    steps = zip(ORDINALS[: len(counted)], counted, places, strict=True)
    told = ", ".join(f"{nth} the {concept.name} at {place}" for nth, concept, place in steps)
    return f"Counting {START[side]}: {told}."


def corpus() -> Iterator[str]:
    """What a tokenizer is built from: train phrasings spelled out, and the thoughts; no test phrasing."""
    known = load_knowledge()
    for ways in WAYS.values():
        yield from (opener + way.split("{")[0].strip() for way in ways["train"] for opener in OPENERS)
    for need in known.needs:
        for way in chain(*need.train):
            yield from (way, OPENERS[0] + way)
        yield from (think_need(need, [known.concepts[name]]) for name in sorted(need.members))
        yield think_need(need, [])
    for concept in known.concepts.values():
        yield from _about_concept(concept)
    for category in known.categories:
        yield from _about_category(category, known)


def _about_concept(concept: Concept) -> Iterator[str]:
    yield from (concept.name, concept.plural, think_every(concept, [0, 0]), think_missing(concept, "red"))
    for noun in (concept.name, *concept.also):
        for way in WAYS["name"]["train"]:
            yield way.format(x=noun, a_x=concept.one, be=concept.verb)
    yield from (way.format(xs=concept.plural) for way in WAYS["every"]["train"])
    yield from _placed(concept.name, concept)
    for side, words in SIDES.items():
        yield from (way.format(x=concept.name, **words) for way in WAYS["relation"]["train"])
        yield think_relation(side, concept, concept)


def _about_category(category: Category, known: Knowledge) -> Iterator[str]:
    yield from (way.format(x=category.name, a_x=category.one) for way in WAYS["category"]["train"])
    for way in WAYS["every"]["train"] + WAYS["every of"]["train"]:
        yield way.format(x=category.name, xs=category.plural)
    yield from (think_category(category, [known.concepts[name]]) for name in sorted(category.members))
    yield think_category(category, [])
    yield from _placed(category.name, known.concepts[min(category.members)])


def _placed(noun: str, concept: Concept) -> Iterator[str]:
    """Colour, side, rank and size of one noun, in every train wording."""
    for color in COLORS:
        yield from (way.format(c=color, x=noun, be=concept.verb) for way in WAYS["color of"]["train"])
        yield think_found(f"{color} {noun}", concept)
    for side, words in SIDES.items():
        for way in WAYS["extreme"]["train"] + WAYS["extreme of two"]["train"]:
            yield way.format(x=noun, be=concept.verb, **words)
        for nth in ORDINALS:
            yield from (way.format(nth=nth, x=noun, start=START[side]) for way in WAYS["ordinal"]["train"])
        yield think_counted(side, [concept, concept], [0, 0])
    for big in LARGE + SMALL:
        yield from (way.format(big=big, x=noun, be=concept.verb) for way in WAYS["size"]["train"])
        yield think_found(f"{big} {noun}", concept)
