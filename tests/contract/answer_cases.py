"""Answers as models write them, clean and broken, and what is to be read from each; for test_answer.py.

The picture is 640 x 360 and the frame 840 x 840, so x shrinks by 16/21 and y by 3/7.
"""

from __future__ import annotations

from typing import NamedTuple

from segzero.contract import MULTI, Target
from segzero.contract.answer import SINGLE, Dialect

DOG = '{"bbox_2d": [84,168,420,840], "point_2d": [210,420]}'
CAT = '{"bbox_2d": [0,0,42,84], "point_2d": [21,42]}'
DOG_TARGET = Target((64, 72, 320, 360), ((160, 180),))
CAT_TARGET = Target((0, 0, 32, 36), ((16, 18),))
CUP = '{"bbox": [84,168,420,840], "points_1": [210,420], "points_2": [105,210]}'
CUP_TARGET = Target((64, 72, 320, 360), ((160, 180), (80, 90)))


def answer(body, thought="A thought."):
    return f"<think>{thought}</think><answer>{body}</answer>"


class Case(NamedTuple):
    """expected: the targets, or the status where there are none. problem: words of it, "" if all is clean."""

    name: str
    text: str
    expected: list[Target] | str
    problem: str = ""
    dialect: Dialect = MULTI


CASES = [
    Case("one target", answer(f"[{DOG}]"), [DOG_TARGET]),
    Case("two targets", answer(f"[{DOG}, {CAT}]"), [DOG_TARGET, CAT_TARGET]),
    Case("single dialect", answer(CUP), [CUP_TARGET], dialect=SINGLE),
    Case(
        "line breaks around everything",
        f"\n<think>\nA.\n</think>\n<answer>\n[\n{DOG}\n]\n</answer>\n",
        [DOG_TARGET],
    ),
    Case("nothing matches", answer("[]"), "no_target"),
    Case("nothing matches, spaced", answer(" [ ] "), "no_target"),
    Case("no thought", f"<answer>[{DOG}]</answer>", [DOG_TARGET]),
    Case(
        "extra keys",
        answer('[{"label": "a {red} dog, \\"big\\"", "bbox_2d": [84,168,420,840], "point_2d": [210,420]}]'),
        [DOG_TARGET],
    ),
    Case(
        "an object inside the object",
        answer('[{"bbox_2d": [84,168,420,840], "about": {"color": "red"}, "point_2d": [210,420]}]'),
        [DOG_TARGET],
    ),
    Case("text after the end", answer(f"[{DOG}]") + f"So <answer>[{CAT}]</answer>", [DOG_TARGET]),
    # The thought may hold anything.
    Case("less-than in the thought", answer(f"[{DOG}]", "a < b <answer <think> </think"), [DOG_TARGET]),
    Case("braces in the thought", answer(f"[{DOG}]", "either {x} or {"), [DOG_TARGET]),
    Case("a box in the thought", answer(f"[{DOG}]", f"perhaps {CAT}?"), [DOG_TARGET]),
    Case(
        "tags as words of the thought", answer(f"[{DOG}]", "I use <answer> and </answer> tags."), [DOG_TARGET]
    ),
    Case(
        "tags as words, no opening tag",
        f"I use <answer> and </answer>.</think><answer>[{DOG}]</answer>",
        [DOG_TARGET],
    ),
    Case("the thought never closes", f"<think>A dog.<answer>[{DOG}]</answer>", [DOG_TARGET]),
    # Accepted by mercy, and said.
    Case("code fence", answer(f"```json\n[{DOG}]\n```"), [DOG_TARGET], "code fence"),
    Case("code fence, nothing matches", answer("```json\n[]\n```"), "no_target", "code fence"),
    Case("prose after the list", answer(f"[{DOG}] is the dog's box."), [DOG_TARGET], "more than JSON"),
    Case("prose before the list", answer(f"The dog's box: [{DOG}]"), [DOG_TARGET], "more than JSON"),
    Case(
        "single quotes",
        answer(CUP.replace('"', "'")),
        [CUP_TARGET],
        "Target 1: not valid JSON",
        dialect=SINGLE,
    ),
    Case(
        "an apostrophe in single quotes",
        answer("[{'label': 'the dog's {bowl}', " + DOG[1:].replace('"', "'") + "]"),
        [DOG_TARGET],
        "not valid JSON",
    ),
    Case(
        "no quotes",
        answer("[{bbox_2d: [84, 168, 420, 840], point_2d: [210, 420]}]"),
        [DOG_TARGET],
        "not valid JSON",
    ),
    Case(
        "a quote is missing",
        answer('[{"bbox_2d: [84,168,420,840], "point_2d": [210,420]}]'),
        [DOG_TARGET],
        "not valid JSON",
    ),
    Case(
        "a quote is missing for good",
        answer('[{"bbox_2d: [84,168,420,840], point_2d: [210,420]}]'),
        [DOG_TARGET],
        "not valid JSON",
    ),
    Case(
        "round brackets",
        answer('[{"bbox_2d": (84,168,420,840), "point_2d": (210,420)}]'),
        [DOG_TARGET],
        "not valid JSON",
    ),
    Case(
        "a comma too many",
        answer('[{"bbox_2d": [84,168,420,840,], "point_2d": [210,420],},]'),
        [DOG_TARGET],
        "not valid JSON",
    ),
    Case("no answer tags", f"<think>A.</think>\n[{DOG}]", [DOG_TARGET], "no answer tags"),
    Case("no tags at all", f"```json\n[{DOG}]\n```", [DOG_TARGET], "no answer tags"),
    Case("no tags, nothing matches", "[]", "no_target", "no answer tags"),
    Case("only the end tag", f"[{DOG}]</answer> and {CAT}", [DOG_TARGET], "no answer tags"),
    Case("an open thought that ends in an answer", f"<think>A dog.\n[{DOG}]", [DOG_TARGET], "no answer tags"),
    Case(
        "cut off in the second",
        f'<think>A.</think><answer>[{DOG}, {{"bbox_2d": [1,2',
        [DOG_TARGET],
        "cut off",
    ),
    Case("cut off after the list", f"<think>A.</think><answer>[{DOG}]</ans", [DOG_TARGET], "cut off"),
    Case("complete but not closed", f"<think>A.</think><answer>[{DOG}]", [DOG_TARGET], "not closed"),
    Case("nothing matches, not closed", "<think>A.</think><answer>[]", "no_target", "not closed"),
    Case("an object where a list belongs", answer(DOG), [DOG_TARGET], "not a list"),
    Case("a list where an object belongs", answer(f"[{CUP}]"), [CUP_TARGET], "was a list", dialect=SINGLE),
    Case(
        "a list wrapped in an object",
        answer(f'{{"objects": [{DOG}, {CAT}]}}'),
        [DOG_TARGET, CAT_TARGET],
        "not a list",
    ),
    Case(
        "an entry without a box",
        answer(f'[{DOG}, {{"label": "cat"}}]'),
        [DOG_TARGET],
        "Entries without a bbox",
    ),
    Case(
        "several in the single dialect",
        answer(f"{CUP} {CUP}"),
        [CUP_TARGET],
        "Target 2: left out",
        dialect=SINGLE,
    ),
    Case("the other dialect's keys", answer(DOG), [DOG_TARGET], "only 1 of 2 points", dialect=SINGLE),
    Case(
        "numbers as text",
        answer('[{"bbox_2d": ["84","168","420","840"], "point_2d": "210, 420"}]'),
        [DOG_TARGET],
        "numbers written as text",
    ),
    Case(
        "a box as two corners",
        answer('[{"bbox_2d": [[84,168],[420,840]], "point_2d": [[210,420]]}]'),
        [DOG_TARGET],
    ),
    Case(
        "swapped corners",
        answer('[{"bbox_2d": [420,840,84,168], "point_2d": [210,420]}]'),
        [DOG_TARGET],
        "swapped",
    ),
    Case(
        "box over the edge",
        answer('[{"bbox_2d": [84,168,420,9000], "point_2d": [210,420]}]'),
        [DOG_TARGET],
        "Target 1: box reached outside the picture, clipped.",
    ),
    Case(
        "point outside the picture",
        answer('[{"bbox_2d": [84,168,420,840], "point_2d": [-7,900]}]'),
        [Target((64, 72, 320, 360), ((0, 359),))],
        "point outside the picture",
    ),
    Case(
        "point outside its box",
        answer('[{"bbox_2d": [84,168,420,840], "point_2d": [630,420]}]'),
        [Target((64, 72, 320, 360), ((480, 180),))],
        "point outside its own box",
    ),
    Case("no point", answer('[{"bbox_2d": [84,168,420,840]}]'), [Target((64, 72, 320, 360))], "no point"),
    Case(
        "one point of two",
        answer('{"bbox": [84,168,420,840], "points_1": [210,420]}'),
        [Target((64, 72, 320, 360), ((160, 180),))],
        "only 1 of 2 points",
        dialect=SINGLE,
    ),
    Case(
        "two points of one",
        answer('[{"bbox_2d": [84,168,420,840], "point_2d": [[210,420],[0,0]]}]'),
        [DOG_TARGET],
        "more than 1 point,",
    ),
    Case(
        "a point that is none",
        answer('[{"bbox_2d": [84,168,420,840], "point_2d": [NaN,420]}]'),
        [Target((64, 72, 320, 360))],
        "not two finite numbers",
    ),
    Case(
        "a bad one among good ones",
        answer(f'[{DOG}, {{"bbox_2d": [1,1,NaN,2], "point_2d": [1,1]}}, {CAT}]'),
        [DOG_TARGET, CAT_TARGET],
        "Target 2: dropped, its bbox is not four finite numbers.",
    ),
    Case(
        "no area, once",
        answer(f'[{{"bbox_2d": [5,5,5,90], "point_2d": [5,5]}}, {CAT}]'),
        [CAT_TARGET],
        "Target 1: dropped, its box has no area.",
    ),
    # One object that holds several boxes: every box is an object.
    Case(
        "a key comes twice",
        answer(f"[{DOG[:-1]}, {CAT[1:]}]"),
        [DOG_TARGET, CAT_TARGET],
        "Targets 1 and 2: more than one box in one object",
    ),
    Case(
        "both boxes, then both points",
        answer(
            '[{"bbox_2d": [84,168,420,840], "bbox_2d": [0,0,42,84], '
            '"point_2d": [210,420], "point_2d": [21,42]}]'
        ),
        [DOG_TARGET, CAT_TARGET],
        "more than one box",
    ),
    Case(
        "a key comes twice, and one point, which is in the second box",
        answer('[{"bbox_2d": [84,168,420,840], "bbox_2d": [0,0,42,84], "point_2d": [21,42]}]'),
        [Target((64, 72, 320, 360)), CAT_TARGET],
        "Target 1: no point",
    ),
    Case(
        "a key comes twice, not valid JSON",
        answer(f"[{DOG[:-1]}, {CAT[1:]}]".replace('"', "'")),
        [DOG_TARGET, CAT_TARGET],
        "not valid JSON",
    ),
    Case(
        "a list of boxes under one key",
        answer('[{"bbox_2d": [[84,168,420,840], [0,0,42,84]], "point_2d": [[210,420], [21,42]]}]'),
        [DOG_TARGET, CAT_TARGET],
        "more than one box",
    ),
    Case(
        "a list of boxes under one key, not valid JSON",
        answer("[{'bbox_2d': [[84,168,420,840], [0,0,42,84]], 'point_2d': [[210,420], [21,42]]}]"),
        [DOG_TARGET, CAT_TARGET],
        "more than one box",
    ),
    Case(
        "two corners and two points, not valid JSON",
        answer("{'bbox': ((84,168), (420,840)), 'points': [[210,420], [105,210],]}"),
        [CUP_TARGET],
        "not valid JSON",
        dialect=SINGLE,
    ),
    Case(
        "an object with a box inside one with a box",
        answer(f'[{DOG[:-1]}, "collar": {CAT}}}]'),
        [CAT_TARGET, DOG_TARGET],
    ),
    Case(
        "a list of objects that is called boxes",
        answer(f'{{"bboxes": [{DOG}, {CAT}]}}'),
        [DOG_TARGET, CAT_TARGET],
        "not a list",
    ),
    Case(
        "the same box under two keys is one",
        answer('[{"bbox": [84,168,420,840], "bbox_2d": [84,168,420,840], "point_2d": [210,420]}]'),
        [DOG_TARGET],
    ),
    Case(
        "a key that only sounds like a box",
        answer('[{"bbox_label": "dog", "bbox_2d": [84,168,420,840], "point_2d": [210,420]}]'),
        [DOG_TARGET],
        "as text",
    ),
    Case(
        "twice in the single dialect",
        answer(CUP[:-1] + ", " + CUP[1:].replace("84", "42")),
        [CUP_TARGET],
        "Target 2: left out, the most is 1",
        dialect=SINGLE,
    ),
    Case(
        "a key comes twice beside an entry without a box",
        answer(f'[{DOG[:-1]}, {CAT[1:]}, {{"label": "cat"}}]'),
        [DOG_TARGET, CAT_TARGET],
        "Entries without a bbox",
    ),
    # Numbers of another grid.
    Case(
        "fractions",
        answer('[{"bbox_2d": [0.1,0.2,0.5,0.75], "point_2d": [0.3,0.5]}]'),
        [Target((0, 0, 1, 1), ((0, 0),))],
        "Target 1: its box lies between 0 and 1, which cannot be pixels",
    ),
    Case(
        "the whole picture as fractions",
        answer('{"bbox": [0,0,1,1], "points_1": [0,1], "points_2": [1,0]}'),
        [Target((0, 0, 1, 1), ((0, 0), (1, 0)))],
        "cannot be pixels",
        dialect=SINGLE,
    ),
    Case(
        "thousandths",
        answer('[{"bbox_2d": [84,168,990,990], "point_2d": [210,420]}]'),
        [Target((64, 72, 640, 360), ((160, 180),))],
        "There are numbers that cannot be pixels of the frame, 840 x 840",
    ),
    Case(
        "thousandths, all of it beyond the frame",
        answer('[{"bbox_2d": [900,910,950,920], "point_2d": [910,915]}]'),
        "unreadable",
        "cannot be pixels of the frame",
    ),
    # Unreadable, with a reason.
    Case("empty", "", "unreadable", "wrote nothing"),
    Case("white space", " \n", "unreadable", "wrote nothing", dialect=SINGLE),
    Case("only a thought", "<think>Hmm. A dog [or {two}", "unreadable", "token limit"),
    Case("a thought that weighs a box", f"<think>Perhaps {DOG}, but then again", "unreadable", "token limit"),
    Case("prose", "I cannot help with that.", "unreadable", "token limit"),
    Case("an empty answer", answer(" "), "unreadable", "is empty"),
    Case("prose as the answer", answer("there is\nno dog"), "unreadable", "holds no bbox: there is no dog"),
    Case(
        "prose as the answer, no thought",
        "Well: <answer>no dog</answer>",
        "unreadable",
        "holds no bbox: no dog",
    ),
    Case("an empty object", answer("{}"), "unreadable", "holds no bbox: {}"),
    Case("never closes", '<think>A.</think><answer>[{"bbox_2d": [1,2,3', "unreadable", "cut off before"),
    Case(
        "outside the picture",
        answer('[{"bbox_2d": [900,10,950,20], "point_2d": [910,15]}]'),
        "unreadable",
        "Target 1: dropped, its box lies outside the picture.",
    ),
    Case(
        "no area",
        answer('{"bbox": [10,20,10,40], "points_1": [10,20], "points_2": [10,30]}'),
        "unreadable",
        "no area",
        dialect=SINGLE,
    ),
    Case(
        "infinite",
        answer('[{"bbox_2d": [0,0,Infinity,1e999], "point_2d": [1,1]}]'),
        "unreadable",
        "not four finite numbers",
    ),
    Case(
        "three numbers",
        answer('[{"bbox_2d": [1,2,3], "point_2d": [1,1]}]'),
        "unreadable",
        "not four finite numbers",
    ),
    Case(
        "true is no number",
        answer('[{"bbox_2d": [false,0,true,9], "point_2d": [1,1]}]'),
        "unreadable",
        "not four finite numbers",
    ),
    Case(
        "a box as an object",
        answer('[{"bbox_2d": {"x": 1, "y": 2}, "point_2d": [1,1]}]'),
        "unreadable",
        "not four finite numbers",
    ),
    Case(
        "brackets without end",
        answer('[{"bbox_2d": ' + "[" * 3000 + "]" * 900 + "}]"),
        "unreadable",
        "not four finite numbers",
    ),
    Case(
        "a number of 3,500 digits",
        answer('[{"bbox_2d": [0,0,1' + "0" * 3500 + ",5]}]"),
        "unreadable",
        "not four finite numbers",
    ),
]
