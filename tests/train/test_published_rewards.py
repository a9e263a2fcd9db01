"""What the published recipes' parts pay: literal texts, literal numbers, the reference's slips among them.

python -m pytest -q tests/train/test_published_rewards.py
"""

from __future__ import annotations

import json

import pytest

from tests.shared.answers import ONE, SQUARE, TWO, item, parts, single, tagged

# --------------------------------------------------------------------------------- the strict five, at most 5

STRICT = [
    ("as it should be", tagged(single()), [1, 1, 1, 1, 1]),
    ("points the other way round", tagged(single(first="[180,180]", second="[120,120]")), [1, 1, 1, 1, 1]),
    ("white space between the tags", tagged(single()).replace("><a", ">\n <a"), [1, 1, 1, 1, 1]),
    ("something after the tags", tagged(single()) + "\n", [0, 1, 1, 1, 1]),
    ("no tags at all", single(), [0, 1, 1, 1, 1]),
    ("nothing", "", [0, 0, 0, 0, 0]),
    ("empty tags", tagged(""), [1, 0, 0, 0, 0]),
    ("single quotes, as in the prompt", tagged(single().replace('"', "'")), [1, 0, 0, 0, 0]),
    ("braces in the thought come first", tagged(single(), "{this}"), [1, 0, 0, 0, 0]),
    ("empty braces in the thought do not", tagged(single(), "{}"), [1, 1, 1, 1, 1]),
    ("an object in the thought counts as the answer", tagged("", single()), [1, 1, 1, 1, 1]),
    ("a list around the object", tagged(f"[{single()}]"), [1, 1, 1, 1, 1]),
    ("IoU of a half is not above a half", tagged(single("[100,100,199,149]")), [1, 1, 0, 0, 0]),
    ("one row of pixels more is", tagged(single("[100,100,199,150]")), [1, 1, 1, 0, 0]),
    ("ten pixels off on average are too many", tagged(single("[110,110,209,209]")), [1, 1, 1, 0, 1]),
    ("a quarter less is not", tagged(single("[110,110,209,208]")), [1, 1, 1, 1, 1]),
    ("a hundred off", tagged(single("[0,0,400,400]", "[180,200]", "[240,260]")), [1, 1, 0, 0, 0]),
    ("a little less than that", tagged(single("[0,0,400,400]", "[179,200]", "[240,260]")), [1, 1, 0, 0, 1]),
    ("a point outside the predicted box", tagged(single(second="[200,180]")), [1, 1, 1, 1, 0]),
    ("a point's decimals are cut off", tagged(single(second="[199.9,180]")), [1, 1, 1, 1, 1]),
    ("points as text", tagged(single(first='["120","120"]')), [1, 1, 1, 1, 1]),
    ("three numbers for a point", tagged(single(first="[120,120,7]")), [1, 0, 1, 1, 1]),
    ("a box as text", tagged(single('["100","100","199","199"]')), [1, 1, 0, 0, 0]),
    ("a box of five numbers", tagged(single("[100,100,199,199,1]")), [1, 0, 0, 0, 0]),
    ("no number but NaN", tagged(single("[NaN,100,199,199]")), [1, 1, 0, 0, 0]),
    ("more than a float holds", tagged(single(f"[100,100,199,{'9' * 400}]")), [1, 1, 0, 0, 1]),
    ("no second point", tagged('{"bbox": [100,100,199,199], "points_1": [120,120]}'), [1, 0, 1, 1, 0]),
    ("the successor's keys", tagged(single().replace("bbox", "bbox_2d")), [1, 0, 0, 0, 0]),
    ("a box inside out", tagged(single("[199,199,100,100]")), [1, 1, 0, 0, 0]),
    ("deeper than Python goes", '{"bbox": ' + "[" * 100_000 + "}", [0, 0, 0, 0, 0]),
    ("open braces without end", "{" * 50_000, [0, 0, 0, 0, 0]),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in STRICT], ids=[row[0] for row in STRICT])
def test_seg_zero_pays_what_the_first_release_paid(text: str, expected: list[int]):
    assert parts("seg_zero", text, SQUARE) == expected


def test_seg_zero_slips_where_the_first_release_did():
    column = "<box>(5,0),(5,99)</box><points>(5,10),(5,90)</points>"  # one pixel wide: no box overlaps it
    assert parts("seg_zero", tagged(single("[5,0,5,99]", "[5,10]", "[5,90]")), column) == [1, 1, 0, 1, 1]
    corner = "<box>(0,0),(9,9)</box><points>(3,5),(3,5)</points>"  # "35" is a 3 and a 5
    assert parts("seg_zero", tagged(single("[0,0,9,9]", '"35"', '"35"')), corner) == [1, 0, 1, 1, 1]


# ----------------------------------------------------------------------------------- the successor, at most 7


CORNER = f"[{item('[0,0,9,9]', '[1,1]')}]"

SUCCESSOR = [
    ("as it should be", tagged(ONE), ONE, [1, 2, 3, 1]),
    ("white space in the tags", tagged(f"\n {ONE}\u00a0"), ONE, [1, 2, 3, 1]),
    ("two, the other way round", tagged(str(json.loads(TWO)[::-1]).replace("'", '"')), TWO, [1, 2, 3, 1]),
    ("one of two", tagged(ONE), TWO, [1, 2, 1.5, 1]),
    ("one too many", tagged(TWO), ONE, [1, 2, 1.5, 1]),
    ("the same one twice", tagged(f"[{item()}, {item()}]"), ONE, [1, 2, 1.5, 1]),
    ("nothing where there is something", tagged("[]"), ONE, [1, 0, 0, 1]),
    ("an honest nothing gets 2", tagged("[]"), "[]", [1, 0, 0, 1]),
    ("and a hallucination 4", tagged(ONE), "[]", [1, 2, 0, 1]),
    ("no tags at all", ONE, ONE, [0, 0, 0, 1]),
    ("a code fence", tagged(f"```json\n{ONE}\n```"), ONE, [1, 0, 0, 1]),
    ("no list but its object", tagged(item()), ONE, [1, 0, 0, 1]),
    ("the tag is named in the thought", tagged(ONE, "In <answer> tags."), ONE, [1, 0, 0, 1]),
    ("the first of two answers counts", f"<answer>{ONE}</answer><answer>[]</answer>", ONE, [0, 2, 3, 1]),
    ("thirty pixels off are too many", tagged(f"[{item(point='[180,150]')}]"), ONE, [1, 2, 2, 1]),
    ("one less is not", tagged(f"[{item(point='[179,150]')}]"), ONE, [1, 2, 3, 1]),
    ("a point beside its box", tagged(f"[{item('[100,100,160,199]', '[165,150]')}]"), ONE, [1, 2, 2, 1]),
    ("ten pixels off", tagged(f"[{item('[110,110,209,209]')}]"), ONE, [1, 2, 2, 1]),
    ("a point missing", tagged('[{"bbox_2d": [100,100,199,199]}]'), ONE, [1, 1, 0, 1]),
    ("three numbers for one point", tagged(f"[{item(point='[150,150,1]')}]"), ONE, [1, 1, 0, 1]),
    ("what stands before a broken item counts", tagged(f"[{item()}, 5]"), ONE, [1, 1, 0, 1]),
    ("what stands after it does not", tagged(f"[5, {item()}]"), ONE, [1, 0, 0, 1]),
    ("numbers as text", tagged(f"[{item(point='[&150&,&150&]')}]".replace("&", '"')), ONE, [1, 2, 0, 1]),
    ("true is a number", tagged(CORNER.replace("[1,1]", "[true,true]")), CORNER, [1, 2, 3, 1]),
    ("no number but infinity", tagged(f"[{item('[100,100,199,Infinity]')}]"), ONE, [1, 2, 1, 1]),
    ("a sentence again", tagged(ONE, "A dog. A dog. A cat."), ONE, [1, 2, 3, 1]),
    ("and again", tagged(ONE, "Well. A dog. A dog. A dog."), ONE, [1, 2, 3, 0]),
    ("two sentences again", "a.b.a.b.", ONE, [0, 0, 0, 0]),
    ("nothing", "", ONE, [0, 0, 0, 1]),
    ("deeper than Python goes", f"<answer>{'[' * 100_000}</answer>", ONE, [0, 0, 0, 1]),
    ("white space without end", "<answer>" + " " * 20_000, ONE, [0, 0, 0, 1]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "solution", "expected"), [row[1:] for row in SUCCESSOR], ids=[row[0] for row in SUCCESSOR]
)
def test_vision_reasoner_pays_what_the_successor_paid(text: str, solution: str, expected: list[float]):
    assert parts("vision_reasoner", text, solution) == expected


def test_vision_reasoner_looks_at_120_objects():
    boxes = [{"bbox_2d": [n, 0, n + 50, 50], "point_2d": [n + 25, 25]} for n in range(0, 130 * 60, 60)]
    everything, first = json.dumps(boxes), json.dumps(boxes[:1])
    assert parts("vision_reasoner", tagged(everything), everything) == pytest.approx([1, 2, 3, 1])
    assert parts("vision_reasoner", tagged(everything), first) == pytest.approx([1, 2, 3 / 120, 1])
    last = json.dumps(boxes[-1:])
    assert parts("vision_reasoner", tagged(everything), last) == pytest.approx([1, 2, 0, 1])


def test_thresholds_shrink_with_the_frame():
    near, off = tagged(f"[{item('[101,101,200,200]')}]"), tagged(f"[{item('[102,102,201,201]')}]")
    assert parts("vision_reasoner", off, ONE)[2] == 3
    assert parts("vision_reasoner", off, ONE, frame_px=168)[2] == 2  # ten pixels of 840 are two of 168
    assert parts("vision_reasoner", near, ONE, frame_px=168)[2] == 3
    assert parts("seg_zero", tagged(single("[102,102,201,201]")), SQUARE, frame_px=168) == [1, 1, 1, 0, 1]
