"""The page without a browser: python -m pytest tests/page/test_app.py"""

from __future__ import annotations

import base64
import io
import json
import re
from itertools import count, zip_longest
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

import app
from page.examples import read_examples
from page.listeners import Listeners, paced
from page.look import head
from page.pixels import Pixels
from page.stage import MAX_SIDE_PX, Stage, View, mask_uri
from page.uploads import Uploads
from page.visit import Visit
from tests.shared.fakes import THOUGHT, FakePipeline, half


@pytest.fixture
def photo(tmp_path: Path) -> str:
    """A phone's photo: stored 60 x 40, to be looked at turned, 40 x 60."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40), "teal").save(tmp_path / "photo.jpg", exif=exif)
    return str(tmp_path / "photo.jpg")


@pytest.fixture
def on(tmp_path: Path) -> Listeners:
    return Listeners(FakePipeline(), [], str(tmp_path / "cache"), Pixels(Uploads(tmp_path)))


def ask(on: Listeners, source: str, question: str, visit: Visit | None = None) -> tuple[Visit, list[tuple]]:
    """The visit after a question, and what was shown on the way as (chat, view) pairs."""
    visit = on.begin(source, question, visit or Visit())[0]
    return visit, list(on.answer(visit))


def texts(chat: list[dict]) -> list[str]:
    return [message["content"] for message in chat]


def test_a_question_is_answered_step_by_step(on: Listeners, photo: str):
    visit, shown = ask(on, photo, " What is left and right? ")
    views = [view for _, view in shown]
    assert views[0].state == "busy" and views[0].objects == ()
    assert (views[0].wh, views[0].shown_wh) == ((40, 60), (40, 60))
    located, segmented = views[-5], views[-4]
    assert [each.mask for each in located.objects] == [""]
    assert segmented.objects[0].mask.startswith("data:image/png;base64,")
    assert (views[-1].state, views[-1].status, len(views[-1].objects)) == ("done", "2 objects", 2)
    assert texts(visit.chat) == [
        "What is left and right?",
        THOUGHT,
        "2 objects · 0.5 s · 64 tokens",
        f"&lt;think&gt;{THOUGHT}&lt;/think&gt;&lt;answer&gt;[]&lt;/answer&gt;",
    ]
    assert visit.result.masks.shape == (2, 60, 40)


def test_the_thought_spins_while_it_is_written_and_stays_open(on: Listeners, photo: str):
    visit, shown = ask(on, photo, "What is left?")
    first = shown[0][0][-1]
    assert first["metadata"] == {"title": "Reasoning", "status": "pending"}
    thought, _, raw = visit.chat[1:]
    assert "status" not in thought["metadata"] and thought["metadata"]["duration"] >= 0
    assert raw["metadata"] == {"title": "Raw answer", "status": "done"}  # done: folded


def test_nothing_that_matches_is_an_answer(on: Listeners, photo: str):
    visit, _ = ask(on, photo, "What is above?")
    assert texts(visit.chat)[2] == "Nothing in the picture matches · 0.5 s · 64 tokens"


def test_an_unreadable_answer_shows_its_words_and_why(on: Listeners, photo: str):
    visit, _ = ask(on, photo, "What is unreadable?")
    assert texts(visit.chat)[2:] == [
        "The answer could not be read · 0.5 s · 64 tokens",
        "The answer holds no object.",
        "&lt;think&gt;I am not sure&lt;/think&gt; It is 42.",
    ]
    assert visit.chat[-1]["metadata"] == {"title": "Raw answer"}  # no status: open


def test_a_fault_ends_the_turn_and_not_the_page(on: Listeners, photo: str, caplog: pytest.LogCaptureFixture):
    visit, _ = ask(on, photo, "Will it crash?")
    assert texts(visit.chat)[-1] == "Something went wrong here. The server's log says what."
    assert "the fake model fell over" in caplog.text
    visit, _ = ask(on, photo, "What is left?", visit)
    assert texts(visit.chat)[-2] == "1 object · 0.5 s · 64 tokens"


def test_stop_keeps_what_is_there_and_stops_the_model(tmp_path: Path, photo: str):
    pipeline = FakePipeline()
    on = Listeners(pipeline, [], str(tmp_path), Pixels(Uploads(tmp_path)))
    visit = on.begin(photo, "What is left?", Visit())[0]
    answer = on.answer(visit)
    for _ in range(3):
        next(answer)
    answer.close()
    assert pipeline.stopped == 1
    chat, view, _ = on.settle(visit)
    asked, thought, stopped = chat
    assert (asked["content"], stopped["content"]) == ("What is left?", "Stopped.")
    assert thought["content"] and THOUGHT.startswith(thought["content"])
    assert thought["metadata"] == {"title": "Reasoning"}  # neither spinning nor folded
    assert (view.state, view.status) == ("done", "Stopped.")


def test_settling_after_an_answer_changes_nothing(on: Listeners, photo: str):
    visit, _ = ask(on, photo, "What is left?")
    before = list(visit.chat)
    assert on.settle(visit)[0] == before


def test_a_second_question_keeps_the_first_and_the_picture(on: Listeners, photo: str):
    visit, _ = ask(on, photo, "What is left?")
    source = visit.source
    visit, _ = ask(on, photo, "What is right?", visit)
    assert visit.source is source
    assert [m["content"] for m in visit.chat if m["role"] == "user"] == ["What is left?", "What is right?"]
    assert len(visit.view.objects) == 1


def test_clicks_correct_a_mask(on: Listeners, photo: str):
    visit, _ = ask(on, photo, "What is left and right?")
    before = visit.view
    view = on.correct(click(number=2, x=5.5, y=9, add=True), visit)
    assert visit.result.masks[1, :, 5].all()
    assert view.objects[0] == before.objects[0] and view.objects[1].mask != before.objects[1].mask
    assert view.objects[1].clicks == ((5.5, 9.0, True),)
    view = on.correct(click(number=2, x=5.5, y=9, add=False), visit)
    assert view.objects[1].mask == before.objects[1].mask
    assert [add for _, _, add in view.objects[1].clicks] == [True, False]


def test_there_is_nothing_to_correct_before_an_answer(on: Listeners):
    assert on.correct(click(number=1, x=0, y=0, add=True), Visit()) is None


def click(**data: object) -> gr.EventData:
    return gr.EventData(None, data)


def test_two_visitors_share_nothing(on: Listeners, photo: str, tmp_path: Path):
    Image.new("RGB", (30, 10), "red").save(tmp_path / "other.png")
    one = on.begin(photo, "What is left?", Visit())[0]
    two = on.begin(str(tmp_path / "other.png"), "What is right?", Visit())[0]
    for _ in zip_longest(on.answer(one), on.answer(two)):  # updates are paced by the clock
        pass
    assert (one.result.image_wh, two.result.image_wh) == ((40, 60), (30, 10))
    assert one.result.masks[0, :, 0].all() and not two.result.masks[0, :, 0].any()
    assert texts(one.chat)[0] == "What is left?" and texts(two.chat)[0] == "What is right?"


def test_another_picture_keeps_the_conversation_and_clear_drops_it(on: Listeners, photo: str):
    visit, _ = ask(on, photo, "What is left?")
    fresh, *_, view, chat, _ = on.another(visit)
    assert not fresh.source and view is None and chat == visit.chat == fresh.chat
    fresh, *_, view, chat, _ = on.clear()
    assert not fresh.source and view is None and chat == []


@pytest.mark.parametrize(
    ("content", "question", "picture_problem", "question_problem"),
    [
        (None, "What is left?", "Add a picture first.", ""),
        (b"", "What is left?", r"bad\.png: .*empty", ""),
        (b"\x89PNG\r\n\x1a\n", "What is left?", r"bad\.png: ", ""),
        (None, "", "Add a picture first.", "empty"),
        (None, "q" * 10_000, "Add a picture first.", "2,000"),
    ],
)
def test_what_cannot_be_asked(on, tmp_path, content, question, picture_problem, question_problem):
    source = None
    if content is not None:
        (tmp_path / "bad.png").write_bytes(content)
        source = str(tmp_path / "bad.png")
    picture, asked, _ = on.check(source, question, Visit())
    assert re.match(picture_problem, picture["message"]) and not picture["is_valid"]
    assert question_problem in asked["message"] and asked["is_valid"] == (not question_problem)


def test_a_good_question_passes(on: Listeners, photo: str):
    assert [verdict["is_valid"] for verdict in on.check(photo, "What is left?", Visit())] == [True] * 3


def test_only_so_many_words_a_second_are_shown_and_every_object(monkeypatch: pytest.MonkeyPatch):
    clock = count()  # a word every hundredth of a second, for 5 s
    monkeypatch.setattr("page.listeners.time", SimpleNamespace(monotonic=lambda: next(clock) / 100))
    steps = [False] * 500 + [True] * 3
    assert sum(1 for _ in paced(steps)) == 56 + 3  # every ninth: 1 / 12 s is a little more than eight


def test_a_large_picture_travels_reduced_and_its_mask_with_it(tmp_path: Path):
    image = Image.new("RGB", (3200, 800), "navy")
    target, mask = half(image.size, "right")
    view = View.of(image, str(tmp_path)).with_object(0, target, mask, 0.5)
    assert view.wh == (3200, 800) and view.shown_wh == (MAX_SIDE_PX, 400)
    assert Image.open(view.path).size == (MAX_SIDE_PX, 400)
    png = Image.open(io.BytesIO(base64.b64decode(view.objects[0].mask.split(",")[1])))
    assert (png.size, png.mode) == ((MAX_SIDE_PX, 400), "1")
    assert np.asarray(png)[:, 800:].all() and not np.asarray(png)[:, :800].any()
    assert view.objects[0].box == (1600.0, 0.0, 3200.0, 800.0)  # of the original picture


@pytest.mark.parametrize("size", [(1, 1), (5000, 1), (1, 5000)])
def test_odd_pictures_have_a_view(size: tuple[int, int], tmp_path: Path):
    view = View.of(Image.new("RGB", size), str(tmp_path))
    assert max(view.shown_wh) <= MAX_SIDE_PX and min(view.shown_wh) >= 1
    assert mask_uri(np.ones(size[::-1], bool), view.shown_wh).startswith("data:image/png")


def test_the_stage_sends_plain_values_and_its_markup_holds_no_template(tmp_path: Path):
    stage = Stage()
    view = View.of(Image.new("RGB", (4, 2)), str(tmp_path), status="${alert(1)}")
    sent = json.loads(json.dumps(stage.postprocess(view)))
    assert sent["picture"] == {"path": view.path, "meta": {"_type": "gradio.FileData"}}
    assert (sent["wh"], sent["state"], sent["objects"]) == ([4, 2], "busy", [])
    assert stage.postprocess(None) is None
    assert "${" not in stage.html_template and "{{" not in stage.html_template


def test_the_page_asks_nobody_else(repo: Path):
    """No address in what the page is made of, but the link to the paper, which a visitor may follow."""
    parts = [path.read_text("utf-8") for path in (repo / "assets" / "page").iterdir()] + [head()]
    assert set(re.findall(r"https?://[^\"')\s]+", "".join(parts))) == {
        "https://arxiv.org/abs/2503.06520",
        "http://www.w3.org/2000/svg",  # the name of SVG, not an address that is asked
    }


def test_the_page_has_one_slot_for_the_model_and_a_bounded_queue():
    page = app.build_page(FakePipeline())
    slots = {fn.concurrency_id: fn.concurrency_limit for fn in page.fns.values() if fn.name == "answer"}
    assert slots == {"model": 1}
    assert page._queue.max_size == 32
    assert page.delete_cache == (app.UPLOADS_KEPT_S, app.UPLOADS_KEPT_S)


def test_the_options():
    args = app.arguments(["--preset", "seg-zero-7b", "--port", "80", "--share", "--auth", "me:a:b"])
    assert (args.preset, args.port, args.share, args.auth) == ("seg-zero-7b", 80, True, ("me", "a:b"))
    assert app.arguments([]).host == "127.0.0.1"
    with pytest.raises(SystemExit):
        app.arguments(["--auth", "me"])


def test_the_examples_are_read_in_order_and_may_be_missing(tmp_path: Path):
    assert read_examples(tmp_path) == []
    (tmp_path / "examples.json").write_text('[{"picture": "a.webp", "question": "What is left?"}]')
    (example,) = read_examples(tmp_path)
    assert (example.picture, example.question) == (tmp_path / "a.webp", "What is left?")
