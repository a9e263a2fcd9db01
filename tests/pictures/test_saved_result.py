"""Saved answers that were changed by somebody, or by a disk.

python -m pytest tests/pictures/test_saved_result.py
"""

from __future__ import annotations

import copy
import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from segzero.__main__ import main
from segzero.contract import Result
from segzero.pictures import details, from_json, overlay, to_json
from tests.shared.fakes import result_of

WH = (40, 20)
RECORD = to_json(
    replace(result_of(WH, "left", "right"), clicks={1: (((3.0, 1.0), True), ((0.0, 0.0), False))})
)
ODD = [None, True, False, 0, -1, 1, 2.5, 10**9, 10**400, 1e300, math.nan, math.inf, "", "x", "\ud800", "a\nb"]
ODD += [[], {}, [1], [[]], {"x": 1}, [None] * 4, [0, 0, 5, 5], ["0", "0", "5", "5"], [5, 5, 0, 0], "0" * 99]
ODD += ["o" * 99, [10**9] * 3, [-1, 801], {"size": [20, 40]}, {"size": [20, 40], "counts": []}, [[1, 2]] * 9]
ODD += [{"size": [20, 40], "counts": [800, 10**30]}, {"size": [20, 40], "counts": {"a": 1}}]


def places(value, path=()):
    """The paths to every value in a JSON value."""
    yield path
    for key, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(inner, (*path, key))


def mutated(rng: random.Random):
    """RECORD with one to three values replaced, taken out or doubled."""
    record = copy.deepcopy(RECORD)
    for _ in range(rng.randint(1, 3)):
        *path, last = rng.choice([path for path in places(record) if path] or [("version",)])
        inner = record
        for key in path:
            inner = inner[key]
        how = rng.choice(("replace", "replace", "take out", "double"))
        if how == "replace":
            inner[last] = copy.deepcopy(rng.choice(ODD))
        elif how == "take out":
            del inner[last]
        elif isinstance(inner, list):
            inner.insert(last, copy.deepcopy(inner[last]))
    return record


def check(record) -> bool:
    """Whether it was read; then all that is done with a result must work. Else it is one line."""
    try:
        result = from_json(record)
    except ValueError as error:
        assert str(error).startswith("Not a Seg-Zero result: ") and "\n" not in str(error)
        return False
    assert (
        isinstance(result, Result) and details(result) and overlay(Image.new("RGB", result.image_wh), result)
    )
    assert json.dumps(to_json(result), allow_nan=False).encode()
    return True


def test_a_changed_record_is_read_or_refused_in_one_line():
    rng = random.Random(0)
    read = sum(check(mutated(rng)) for _ in range(1500))
    assert 50 < read < 1000  # both ends are tried


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("status",), "fine"),
        (("seconds",), {}),
        (("seconds", "total"), math.nan),
        (("tokens",), math.inf),
        (("tokens",), "64"),
        (("tokens",), 10**400),
        (("targets", 0, "score"), None),
        (("targets", 0, "score"), 1e300),
        (("targets", 0, "box_xyxy"), [0, 0, 1e12, 20]),
        (("targets", 0, "box_xyxy"), [0, 0, 5]),
        (("targets", 0, "box_xyxy"), ["0", "0", "5", "5"]),
        (("targets", 0, "points_xy"), [[math.nan, 1]]),
        (("targets", 0, "points_xy"), [[1, 1]] * 3),
        (("targets", 1, "clicks"), [[1, 1, "yes"]]),
        (("targets", 1, "clicks"), "ab"),
        (("targets", 0, "mask"), {"size": [20, 40]}),
        (("targets",), [RECORD["targets"][0]] * 121),
        (("targets",), {}),
    ],
    ids=str,
)
def test_what_no_result_says_is_refused(where: tuple, value: object):
    record = copy.deepcopy(RECORD)
    inner = record
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    assert not check(record)


def test_half_a_character_is_replaced():
    assert from_json(RECORD | {"question": "Where\ud800?"}).question == "Where??"


def test_a_result_of_a_huge_picture_is_refused_before_its_masks_are_made():
    runs = {"size": [8000, 10000], "counts": [80_000_000]}
    record = RECORD | {"image": {"width": 10000, "height": 8000}}
    record["targets"] = [RECORD["targets"][0] | {"mask": runs}] * 100  # 8 GB
    with pytest.raises(ValueError, match=r"\(10000, 8000\) pixels, this one has \(40, 20\)"):
        from_json(record, Image.new("RGB", WH))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", WH).save("p.png")
    return tmp_path


def test_replay_says_what_is_wrong_in_one_line(here: Path, capsys):
    rng = random.Random(1)
    for number in range(60):
        Path("j.json").write_text(json.dumps(mutated(rng)))
        code = main(["replay", "j.json", "p.png", "--zip", f"{number}.zip"])
        said = capsys.readouterr().err
        assert code == (1 if said else 0) and said.count("\n") == bool(said)
        assert Path(f"{number}.zip").exists() == (not said)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", b"[" * 100_000, b'{"version": 1' + b"1" * 5000, b"null", b"{}", b"\xef\xbb\xbf{}"],
)
def test_replay_of_another_file_is_one_line(here: Path, content: bytes, capsys):
    Path("j.json").write_bytes(content)
    assert main(["replay", "j.json", "p.png"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("segzero: ") and said.count("\n") == 1


def test_a_mark_at_the_files_beginning_is_no_fault(here: Path):
    Path("j.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(RECORD).encode())
    assert main(["replay", "j.json", "p.png"]) == 0
