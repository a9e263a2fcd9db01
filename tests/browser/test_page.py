"""Asking, in a real Chromium: the answer as it comes, Stop, what goes wrong, and the bundled models.

python -m pytest tests/browser
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import segzero
from segzero.contract import Finished, Located, Segmented, Thinking
from segzero.pictures import load_picture
from tests.shared.fakes import FIRST_WORDS, THOUGHT, FakePipeline, after, never, result_of
from tests.shared.serving import eventually

from .conftest import DONE, opening, serving

pytestmark = pytest.mark.browser

SHOWS = """([state, objects, scored]) => {
    const chips = [...document.querySelectorAll(".chips button")];
    return document.querySelector(".stage").dataset.state === state && chips.length === objects
        && chips.filter(chip => /0\\.\\d\\d/.test(chip.innerText)).length === scored;
}"""


def test_a_question_from_upload_to_masks(open_tab, picture: Path, pipeline: FakePipeline, screenshot):
    tab = open_tab()
    screenshot(tab, "desktop-empty")
    tab.upload(picture)
    tab.ask("What is left?", after(Thinking))
    tab.wait_for(FIRST_WORDS)
    assert "halves." not in tab.chat()
    pipeline.holds = after(Located)
    tab.wait_for(THOUGHT)  # it has grown to its end
    pipeline.holds = never

    tab.wait_for_end()
    tab.wait_for("1 object · 0.5 s · 64 tokens")
    tab.wait_until_painted(0.3, 0.3)
    assert tab.painted(0.7, 0.3)[3] == 0  # nothing on the right half
    red, green, blue, _ = tab.painted(0.3, 0.3)
    assert blue > green > red  # the first colour, sky blue
    assert tab.page.inner_text(".chips") == "1 · 0.90"
    eventually(lambda: "<answer>" in tab.chat(), False)  # the raw answer is folded
    screenshot(tab, "desktop-answer")

    tab.answer("What is right?")  # again, about the same picture
    tab.wait_until_painted(0.7, 0.3)
    assert tab.painted(0.3, 0.3)[3] == 0 and not tab.errors


def test_objects_appear_before_the_answer_has_ended(open_tab, picture: Path, pipeline: FakePipeline):
    """A box while its mask is computed, then the mask, while others are still to come."""
    tab = open_tab()
    tab.upload(picture)
    tab.ask("Which tenths?", after(Thinking))
    for event, objects, scored in [
        (Located, 1, 0),
        (Segmented, 1, 1),
        (Located, 2, 1),
        (Segmented, 7, 7),
        (Located, 10, 9),
    ]:
        pipeline.holds = after(event, objects - 1)
        tab.page.wait_for_function(SHOWS, arg=["busy", objects, scored])
    tab.wait_until_painted(0.87, 0.3)
    assert tab.painted(0.97, 0.3)[3] == 0  # the last has no mask yet
    pipeline.holds = never
    tab.page.wait_for_function(SHOWS, arg=["done", 10, 10])
    tab.wait_until_painted(0.97, 0.3)


def test_stop_keeps_what_is_there(open_tab, picture: Path, pipeline: FakePipeline):
    tab = open_tab()
    tab.upload(picture)
    before = pipeline.stopped
    tab.ask("What is left?", after(Thinking))
    tab.wait_for(FIRST_WORDS)
    tab.stop()
    tab.wait_for("Stopped · ")
    tab.wait_for_end()
    assert FIRST_WORDS in tab.chat() and "for a side" not in tab.chat()  # not a word more
    eventually(lambda: pipeline.stopped, before + 1)

    tab.ask("Which tenths?", after(Segmented))  # and the page goes on
    tab.page.wait_for_selector(".chips button:has-text('0.90')")
    tab.stop()
    tab.wait_for("Stopped · 1 object", ".status")
    tab.wait_until_painted(0.03, 0.3)
    assert tab.painted(0.5, 0.3)[3] == 0
    tab.do("correct")  # what has a mask can be corrected
    tab.click(0.5, 0.5)
    tab.wait_until_painted(0.5, 0.3)


def test_one_waits_while_another_is_answered(open_tab, picture: Path, pipeline: FakePipeline):
    first, second = open_tab(), open_tab()
    for tab in (first, second):
        tab.upload(picture)
    first.ask("Which tenths?", after(Thinking))
    second.ask("What is right?", after(Thinking))
    second.page.wait_for_selector(".status:has-text('Waiting for the model')")
    second.stop()
    second.wait_for("Stopped.")
    pipeline.holds = never
    first.wait_for("10 objects")
    second.answer("What is right?")
    second.wait_until_painted(0.7, 0.3)
    assert second.painted(0.3, 0.3)[3] == 0 and "right" not in first.chat()


def test_honest_states(open_tab, picture: Path, screenshot):
    tab = open_tab()
    tab.upload(picture)
    tab.answer("What is above?")
    tab.wait_for("Nothing in the picture matches")
    assert tab.page.get_attribute(".stage", "data-tone") == "empty"
    tab.answer("What is unreadable?")
    tab.wait_for("The answer could not be read")
    tab.wait_for("<think>I am not sure</think> It is 42.")
    assert tab.page.get_attribute(".stage", "data-tone") == "bad"
    tab.do("inspect")
    tab.wait_for("The answer holds no object.", ".inspector")
    tab.answer("Will it crash?")
    tab.wait_for("Something went wrong here.")
    assert tab.page.locator("button[data-do=inspect]").first.is_disabled()  # there is nothing behind it
    screenshot(tab, "states")
    tab.do("another")
    tab.page.wait_for_selector("#picture input[type=file]", state="attached")
    assert "What is above?" in tab.chat()  # the conversation stays


def test_what_cannot_be_asked_is_said_before_anything_runs(open_tab, tmp_path: Path, picture: Path):
    tab = open_tab()
    tab.page.fill("#question textarea", "What is left?")
    tab.page.press("#question textarea", "Enter")
    tab.page.wait_for_selector("text=Add a picture first.")
    whole = picture.read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    tab.page.set_input_files("#picture input[type=file]", tmp_path / "cut.png")
    tab.page.wait_for_selector("#picture button[aria-label*=Remove], #picture button[aria-label*=Clear]")
    tab.page.press("#question textarea", "Enter")
    tab.page.wait_for_selector("text=/cut.png: .*damaged/")


def test_words_are_never_markup(open_tab, picture: Path):
    tab = open_tab()
    tab.upload(picture)
    words = "<img src=https://example.org/x.png onerror=alert(1)> ![](https://example.org/y.png) ${1+1} left"
    tab.ask(words)
    tab.wait_for("1 object")
    assert words in tab.chat()
    assert not [url for url in tab.requests if "example.org" in url]


def test_a_large_photo_of_a_phone_stands_upright(open_tab, tmp_path: Path):
    """12 megapixels, stored lying on its side; the page gets a reduced copy, the masks are exact."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4000, 3000), "teal").save(tmp_path / "photo.jpg", exif=exif)
    tab = open_tab()
    tab.upload(tmp_path / "photo.jpg")
    tab.answer("What is left?")
    tab.wait_until_painted(0.3, 0.3)
    assert tab.painted(0.7, 0.3)[3] == 0
    size = tab.page.evaluate("(i => [i.naturalWidth, i.naturalHeight])(document.querySelector('.picture'))")
    assert size == [1200, 1600]
    tab.do("correct")
    tab.click(0.75, 0.5)
    tab.wait_until_painted(0.75, 0.3)


@pytest.mark.slow
def test_the_bundled_models_answer_an_example(browser, tmp_path: Path, screenshot):
    with serving(segzero.load("mini"), tmp_path) as address, opening(browser, None) as open_:
        tab = open_(address)
        tab.page.click("#chat .example >> nth=0")
        tab.page.wait_for_selector(DONE)
        tab.wait_for("1 object")
        tab.page.wait_for_selector(".chips button")
        tab.do("inspect")
        tab.page.wait_for_selector(".candidates figure >> nth=2")
        screenshot(tab, "inspector")
        tab.page.click(".inspector .close")
        assert tab.page.locator("[data-do=save]").is_hidden()  # no folder was given
        screenshot(tab, "mini")


PAYLOADS = [
    "<img src=https://example.org/i.png onerror=document.title='ran'>",
    "<script>document.title='ran'</script>",
    "<svg onload=document.title='ran'>",
    "<iframe srcdoc=\"<script>parent.document.title='ran'</script>\"></iframe>",
    "[x](javascript:document.title='ran') ![](https://example.org/m.png)",
    "${document.title='ran'} {{document.title='ran'}}",
    "</think><style>@import 'https://example.org/s.css'</style>",
]


def test_a_name_stands_on_its_chip(open_tab, picture: Path, pipeline, monkeypatch):
    def stream(image, question, *, cancel):
        result = result_of(image.size, "left", question=question)
        target = replace(result.targets[0], label="red cup")
        yield Located(0, target)
        yield Segmented(0, target, result.masks[0], 0.9)
        yield Finished(replace(result, targets=[target], picture=load_picture(image)))

    monkeypatch.setattr(pipeline, "stream", stream)
    tab = open_tab()
    tab.upload(picture)
    tab.page.fill("#question textarea", "What is left?")
    tab.page.press("#question textarea", "Enter")
    tab.wait_for_end()
    assert tab.page.inner_text(".chips") == "1 red cup · 0.90" and not tab.errors


def test_no_words_run_wherever_they_are_shown(open_tab, tmp_path: Path, picture: Path, pipeline, monkeypatch):
    """In a picture's name, question, thought, raw answer, label and problem; live, and looked into."""
    words = " left ".join(PAYLOADS)

    def stream(image, question, *, cancel):
        result = replace(result_of(image.size, "left", question=question, raw=words), thinking=words)
        target = replace(result.targets[0], label=words)
        result = replace(result, targets=[target], problem=words, picture=load_picture(image))
        yield Thinking(words)
        yield Located(0, target)
        yield Segmented(0, target, result.masks[0], 0.9)
        yield Finished(result)

    monkeypatch.setattr(pipeline, "stream", stream)
    named = tmp_path / "<img src=x onerror=document.title='ran'>.png"
    named.write_bytes(picture.read_bytes())
    tab = open_tab()
    title = tab.page.title()
    tab.upload(named)
    tab.page.fill("#question textarea", words)
    tab.page.press("#question textarea", "Enter")
    tab.wait_for_end()
    tab.wait_for(PAYLOADS[0])
    tab.do("inspect")
    tab.wait_for(PAYLOADS[0], ".inspector")
    tab.page.click(".inspector .close")
    for question in ("What is left?", words):  # and when an earlier answer is shown again
        tab.page.fill("#question textarea", question)
        tab.page.press("#question textarea", "Enter")
        tab.wait_for_end()
    tab.do("earlier")
    tab.page.wait_for_timeout(500)
    assert tab.page.title() == title and "ran" not in title
    assert not [url for url in tab.requests if "example.org" in url] and not tab.errors
    bad = tmp_path / "<svg onload=document.title='ran'>.png"
    bad.write_bytes(b"junk")
    tab.do("another")
    tab.page.set_input_files("#picture input[type=file]", bad)
    tab.page.wait_for_selector("#picture button[aria-label*=Remove], #picture button[aria-label*=Clear]")
    tab.page.fill("#question textarea", "What is left?")
    tab.page.press("#question textarea", "Enter")
    tab.page.wait_for_selector("text=not a picture")
    assert tab.page.title() == title
