"""What stays in memory of pictures and answers, and that visitors do not meet: tests/page/test_memory.py

python -m pytest tests/page/test_memory.py
"""

from __future__ import annotations

import gc
import json
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from page.listeners import Listeners
from page.pixels import Pixels
from page.turns import KEPT_BYTES, Turn, within_bounds
from page.uploads import Uploads
from page.visit import MAX_TURNS, Visit
from segzero.pictures import PictureError, from_json, load_picture
from tests.shared.fakes import FakePipeline
from tests.shared.serving import Site, stream

WH = (409, 307)  # of no other test: one looks for all pictures of this size


def photo(folder: Path, name: str) -> str:
    Image.new("RGB", WH, "teal").save(folder / name)
    return str(folder / name)


def pixels(folder: Path, pictures: int) -> Pixels:
    """Room for so many."""
    return Pixels(Uploads(folder), max_bytes=3 * WH[0] * WH[1] * pictures)


def test_of_all_pictures_only_the_last_used_stay(tmp_path: Path):
    kept = pixels(tmp_path, 2)
    paths = [photo(tmp_path, f"{number}.png") for number in range(4)]
    first, second = weakref.ref(kept.load(paths[0])), weakref.ref(kept.load(paths[1]))
    assert kept.load(paths[0]) is first()
    third = weakref.ref(kept.load(paths[2]))
    gc.collect()
    assert first() and third() and not second()
    huge = Pixels(Uploads(tmp_path), max_bytes=1)
    assert huge.load(paths[0]) is huge.load(paths[0])  # one always does


def test_what_is_deleted_leaves_the_memory(tmp_path: Path):
    kept, path = pixels(tmp_path, 2), photo(tmp_path, "a.png")
    picture = weakref.ref(kept.load(path))
    Path(path).unlink()
    with pytest.raises(PictureError, match="no such file"):
        kept.load(path)
    gc.collect()
    assert not picture()


def test_one_picture_is_decoded_at_a_time_and_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    busy, most, decoded = threading.Semaphore(1), [], []

    def load(source: str) -> Image.Image:
        most.append(busy.acquire(blocking=False))
        decoded.append(source)
        picture = load_picture(source)
        busy.release()
        return picture

    monkeypatch.setattr("page.pixels.load_picture", load)
    kept, paths = pixels(tmp_path, 5), [photo(tmp_path, f"{number}.png") for number in range(5)]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(kept.load, paths * 6))
    assert all(most) and sorted(decoded) == paths


def test_a_visit_holds_no_pixels(tmp_path: Path):
    on = Listeners(FakePipeline(), [], str(tmp_path / "cache"), pixels(tmp_path, 1))
    visit = Visit()
    for name in ("a.png", "b.png"):
        on.begin(photo(tmp_path, name), "What is left and right?", visit)
        assert list(on.answer(visit))
        correct = gr.EventData(None, {"number": 2, "x": 5, "y": 5, "add": True})
        assert on.correct(correct, visit).undoable
        visit = on.another(visit)[0]
    gc.collect()
    pictures = [each for each in gc.get_objects() if type(each) is Image.Image and each.size == WH]
    assert len(pictures) == 1  # the one in `pixels`
    assert sum(turn.size for turn in visit.turns) < 10_000


def test_the_oldest_answers_give_way(tmp_path: Path):
    def turn(number: int, size: int) -> Turn:
        return Turn(number, f"{number}.png", "What?", size=size, record={"n": number})

    turns = [turn(number, KEPT_BYTES // 3) for number in range(5)]
    assert [each.record for each in within_bounds(turns, 4)] == [None, None, {"n": 2}, {"n": 3}, {"n": 4}]
    kept = within_bounds([turn(0, 2 * KEPT_BYTES), *turns], 0)
    assert kept[0].record and not any(each.record for each in kept[1:])  # what is on the stage stays
    on = Listeners(FakePipeline(), [], str(tmp_path / "cache"), pixels(tmp_path, 1))
    visit = Visit()
    for question in ("What is left?", "What is right?"):
        on.begin(photo(tmp_path, "a.png"), question, visit)
        list(on.answer(visit))
    visit.turns[0] = visit.turns[0].forgotten()
    with pytest.warns(UserWarning, match="the oldest answers give way"):
        on.recall(gr.EventData(None, {"number": 1}), visit)
    assert visit.view.number == 2


def test_a_conversation_has_an_end(tmp_path: Path):
    on = Listeners(FakePipeline(), [], str(tmp_path / "cache"), pixels(tmp_path, 1))
    visit = Visit(turns=[Turn(0, "a.png", "What?")] * MAX_TURNS)
    _, asked, _ = on.check(photo(tmp_path, "a.png"), "What is left?", visit)
    assert asked["message"] == "A conversation has at most 100 questions. Clear it to go on."


def test_while_one_answer_is_under_way_no_other_begins(tmp_path: Path):
    on = Listeners(FakePipeline(), [], str(tmp_path / "cache"), pixels(tmp_path, 1))
    path, visit = photo(tmp_path, "a.png"), Visit()
    on.begin(path, "What is left?", visit)
    with pytest.raises(gr.Error, match="under way"):
        on.begin(path, "What is right?", visit)
    assert list(on.answer(visit)) and not list(on.answer(visit))  # it is given once
    assert visit.question == "What is left?" and not visit.busy


def test_a_picture_that_is_gone_is_told_where_it_can_be_seen(tmp_path: Path):
    on = Listeners(FakePipeline(), [], str(tmp_path / "cache"), pixels(tmp_path, 1))
    path, visit = photo(tmp_path, "a.png"), Visit()
    on.begin(path, "What is left?", visit)
    list(on.answer(visit))
    Path(path).unlink()
    picture, asked, _ = on.check(path, "What is right?", visit)
    assert picture["is_valid"] and asked["message"].endswith("or no longer. Add it again.")
    correct = gr.EventData(None, {"number": 1, "x": 5, "y": 5, "add": True})
    assert on.correct(correct, visit).status == "a.png: there is no such file; check the name"


def test_users_at_once_get_each_their_own(site: Site, tmp_path: Path):
    """Eight users, three questions each, every one about a picture of a size of its own."""

    def user(number: int) -> list[tuple]:
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (20 + number, 10 + number), "red").save(path)
        file, answers = site.put(path), []
        for side in ("left", "right", "left and right"):
            call = site.ask(file, f"What is {side} of {number}?").json()["event_id"]
            with stream("GET", f"{site.address}/gradio_api/call/segment/{call}") as reply:
                (answer,) = json.loads(list(reply.iter_lines())[-2].removeprefix("data: "))
            result = from_json(answer)
            answers.append((result.question, result.image_wh, len(result.targets)))
        return answers

    with ThreadPoolExecutor(8) as pool:
        for number, answers in enumerate(pool.map(user, range(8))):
            size = (20 + number, 10 + number)
            assert answers == [
                (f"What is {side} of {number}?", size, count)
                for side, count in (("left", 1), ("right", 1), ("left and right", 2))
            ]
