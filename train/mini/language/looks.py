"""Questions about where, how large and of what colour things are: what no knowledge file holds.

    drafts = spatial(View(scene), "train", rng)

Each function gathers what can be asked without doubt; `split` is "train" or "test" (which wordings).
"""

from __future__ import annotations

import numpy as np

from train.mini.language import phrasings as say
from train.mini.language.knowledge import load_knowledge
from train.mini.language.phrasings import COLORS, LARGE, ORDINALS, SIDES, SMALL, START, WAYS
from train.mini.language.view import Draft, Group, View

EDGE_GAP = 0.10  # of the picture's side: how far the leftmost stands out from the next
RANK_GAP = 0.07  # of the picture's side: how far neighbours in a count stand apart
NEAREST_RATIO = 1.3  # the next-nearest object is at least this much farther away
OVERLAP = 0.3  # of the shorter box: what stands beside another may overlap it by this much along that side
SIZE_RATIO = 1.4  # visible areas of the largest and the next
TAN = ("orange", "pink", "yellow")  # what wood, fur and gold measure as
# Colours that two people could name differently.
ALIKE = {
    "red": {"brown", "orange", "pink", "purple"},
    "orange": {"brown", "red", "yellow"},
    "yellow": {"brown", "green", "orange", "white"},
    "green": {"blue", "yellow"},
    "blue": {"green", "grey", "purple"},
    "purple": {"blue", "pink", "red"},
    "pink": {"orange", "purple", "red"},
    "brown": {"black", "grey", "orange", "red", "yellow"},
    "black": {"brown", "grey"},
    "white": {"grey", "yellow"},
    "grey": {"black", "blue", "brown", "white"},
}


def attribute(view: View, split: str, rng: np.random.Generator) -> list[Draft]:
    """The one red car, the one white animal: no other of its group could pass for that colour."""
    drafts = []
    for group in view.groups(rng, least=1):
        colors = [_color(view, i) for i in group.ids]
        for index, color in zip(group.ids, colors, strict=True):
            if not _askable(view, group, color) or sum(_could_be(other, color) for other in colors) > 1:
                continue
            words = f"{color} {group.noun}"
            thought = (
                say.think_named(words) if group.concept else say.think_found(words, view.concepts[index])
            )
            slots = {"c": color, "x": group.noun, "be": group.be}
            drafts.append(Draft((WAYS["color of"][split],), thought, (index,), slots))
    return drafts


def missing_color(view: View, split: str) -> list[Draft]:
    """A red car where every car is clearly of another colour."""
    drafts = []
    for name, ids in view.by_concept.items():
        concept = load_knowledge().concepts[name]
        group = Group(name, ids, concept)
        if not view.clear(concept):
            continue
        for color in COLORS:
            if _askable(view, group, color) and not any(_could_be(_color(view, i), color) for i in ids):
                slots = {"c": color, "x": name, "be": concept.verb}
                drafts.append(Draft((WAYS["color of"][split],), say.think_missing(concept, color), (), slots))
    return drafts


def _color(view: View, index: int) -> str | None:
    """The object's colour where people would agree on it, else None."""
    color, concept = view.objects[index].color, view.concepts[index]
    doubtful = (concept.tan and color in TAN) or any(word in COLORS for word in concept.name.split())
    return None if doubtful else color


def _askable(view: View, group: Group, color: str | None) -> bool:
    """A colour people agree on; no red "red apple", and nothing orange beside an orange."""
    return (
        color in ALIKE
        and color not in view.present
        and not any(word in COLORS for word in group.noun.split())
    )


def _could_be(seen: str | None, color: str) -> bool:
    return seen is None or seen == color or seen in ALIKE[color]


def spatial(view: View, split: str, rng: np.random.Generator) -> list[Draft]:
    """The outermost of a group, and what stands beside an object."""
    drafts = [draft for group in view.groups(rng) for draft in _extremes(view, group, split)]
    for name, ids in view.by_concept.items():
        if len(ids) == 1 and view.clear(load_knowledge().concepts[name]):
            drafts += _neighbours(view, ids[0], split)
    return drafts


def _extremes(view: View, group: Group, split: str) -> list[Draft]:
    drafts = []
    for side, words in SIDES.items():
        along = view.center[list(group.ids), 0 if side in ("left", "right") else 1]
        order = np.argsort(along if side in ("left", "top") else -along)
        edge = view.boxes[list(group.ids), ("left", "top", "right", "bottom").index(side)]
        outermost = edge.min() if side in ("left", "top") else edge.max()
        if abs(along[order[1]] - along[order[0]]) < EDGE_GAP or edge[order[0]] != outermost:
            continue
        index = group.ids[order[0]]
        noun = f"{words['most']} {group.noun}"
        thought = say.think_named(noun) if group.concept else say.think_found(noun, view.concepts[index])
        pools = (WAYS["extreme"][split], WAYS["extreme of two"][split])[: 2 if len(group.ids) == 2 else 1]
        drafts.append(Draft(pools, thought, (index,), {"x": group.noun, "be": group.be, **words}))
    return drafts


def _neighbours(view: View, anchor: int, split: str) -> list[Draft]:
    """For each side, the nearest object if it lies clearly there and nothing else nearly as near does."""
    drafts = []
    away = view.pixels - view.pixels[anchor]
    distance = np.hypot(away[:, 0], away[:, 1])
    apart = np.abs(view.center - view.center[anchor])
    for side, words in SIDES.items():
        axis, sign = (0 if side in ("left", "right") else 1), (-1 if side in ("left", "top") else 1)
        there = [i for i in range(len(away)) if i != anchor and sign * away[i, axis] > 0]
        there.sort(key=lambda i: distance[i])
        if not there or (len(there) > 1 and distance[there[1]] < NEAREST_RATIO * distance[there[0]]):
            continue
        found = there[0]
        across = abs(away[found, axis]) < 1.5 * abs(away[found, 1 - axis])
        if across or apart[found, axis] < EDGE_GAP or _overlap(view, anchor, found, axis) > OVERLAP:
            continue
        thought = say.think_relation(side, view.concepts[anchor], view.concepts[found])
        slots = {"x": view.objects[anchor].concept, **words}
        drafts.append(Draft((WAYS["relation"][split],), thought, (found,), slots))
    return drafts


def _overlap(view: View, one: int, other: int, axis: int) -> float:
    """How much of the shorter of two boxes the other covers along x (axis 0) or y (1); negative: a gap."""
    (low, high), (start, end) = ((view.boxes[i, axis], view.boxes[i, axis + 2]) for i in (one, other))
    return (min(high, end) - max(low, start)) / max(1.0, min(high - low, end - start))


def ordinal(view: View, split: str, rng: np.random.Generator) -> list[Draft]:
    """The second dog from the left: every neighbour in the count stands clearly apart."""
    drafts = []
    for group in view.groups(rng):
        if group.concept and group.concept.form != "one":
            continue  # "the second scissors" is no English
        for side in SIDES:
            axis = 0 if side in ("left", "right") else 1
            along = view.center[list(group.ids), axis]
            order = np.argsort(along if side in ("left", "top") else -along)
            gaps = [1.0, *np.abs(np.diff(along[order])), 1.0]
            for rank, nth in enumerate(ORDINALS[: len(order)]):
                if min(gaps[: rank + 2]) < RANK_GAP:
                    break
                counted = tuple(group.ids[i] for i in order[: rank + 1])
                thought = say.think_counted(side, view.chosen(counted), view.places(counted, axis))
                slots = {"nth": nth, "x": group.noun, "start": START[side]}
                drafts.append(Draft((WAYS["ordinal"][split],), thought, counted[-1:], slots, counted))
    return drafts


def comparative(view: View, split: str, rng: np.random.Generator) -> list[Draft]:
    """The largest animal: by the pixels that show, with nothing of nearly its size."""
    drafts, sizes = [], view.sizes()
    for group in view.groups(rng):
        area = sizes[list(group.ids)]
        order = np.argsort(area)
        for words, first, second in ((LARGE, order[-1], order[-2]), (SMALL, order[0], order[1])):
            if max(area[first], area[second]) < SIZE_RATIO * min(area[first], area[second]):
                continue
            index, big = group.ids[first], words[int(rng.integers(len(words)))]
            noun = f"{words[0]} {group.noun}"
            thought = say.think_named(noun) if group.concept else say.think_found(noun, view.concepts[index])
            slots = {"big": big, "x": group.noun, "be": group.be}
            drafts.append(Draft((WAYS["size"][split],), thought, (index,), slots))
    return drafts
