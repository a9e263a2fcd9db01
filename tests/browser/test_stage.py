"""The picture with its masks, in a real Chromium: look at them, correct them, go back to earlier ones.

python -m pytest tests/browser/test_stage.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from segzero.data import load_sample, read_samples
from tests.shared.serving import eventually

from .conftest import PHONE, Tab

pytestmark = pytest.mark.browser


@pytest.fixture
def answered(open_tab, picture: Path) -> Tab:
    """What is left and right has been asked."""
    tab = open_tab()
    tab.upload(picture)
    tab.answer("What is left and right?")
    tab.wait_until_painted(0.1, 0.3)
    tab.wait_until_painted(0.9, 0.3)
    return tab


def test_two_objects_can_be_told_apart_and_hidden(answered: Tab):
    tab = answered
    strength = tab.painted(0.7, 0.3)[3]
    tab.page.click(".chips button >> nth=0")  # singles out the first: the second fades
    tab.page.mouse.move(0, 0)
    tab.wait_until_painted(0.7, 0.3, painted=False)
    assert 0 < tab.painted(0.7, 0.3)[3] < strength
    tab.click(0.3, 0.3)  # a click on the object itself lets go of it
    tab.page.mouse.move(0, 0)
    tab.wait_until_painted(0.7, 0.3)

    tab.page.click("button[data-layer=masks]")
    tab.wait_until_painted(0.3, 0.3, painted=False)
    tab.page.click("button[data-layer=masks]")
    tab.wait_until_painted(0.3, 0.3)
    tab.page.fill(".bar input[type=range]", "5")
    tab.wait_until_painted(0.3, 0.3, painted=False)
    assert 0 < tab.painted(0.3, 0.3)[3] < 20
    tab.page.fill(".bar input[type=range]", "60")

    tab.page.hover("button[data-hold]")
    tab.page.mouse.down()
    tab.wait_until_painted(0.3, 0.3, painted=False)
    tab.page.mouse.up()
    tab.wait_until_painted(0.3, 0.3)

    tab.page.mouse.move(*tab.at(0.7, 0.3))
    tab.page.wait_for_function("document.querySelector('.tip').textContent === '2 · 0.80'")
    tab.page.mouse.move(0, 0)
    tab.do("fullscreen")
    tab.page.wait_for_function("document.fullscreenElement?.className === 'stage'")
    tab.wait_until_painted(0.3, 0.3)
    assert not tab.errors


def test_points_boxes_and_undo(answered: Tab, kept: Path, screenshot):
    tab = answered
    tab.do("correct")
    tab.page.wait_for_selector(".chips button[aria-pressed=true] >> text=1")
    tab.page.click("button[data-tool=remove]")
    tab.click(0.1, 0.7)  # the fake removes a band of pixels
    tab.wait_until_painted(0.1, 0.3, painted=False)
    tab.wait_for("Object 1 corrected in 0.05 s", ".status")
    tab.page.click("button[data-tool=add]")
    tab.click(0.1, 0.7)
    tab.wait_until_painted(0.1, 0.3)
    tab.click(0.1, 0.7, button="right")
    tab.wait_until_painted(0.1, 0.3, painted=False)

    tab.drag((0.3, 0.2), (0.45, 0.6))  # draws a box: the mask is in it
    tab.wait_until_painted(0.2, 0.3, painted=False)
    tab.wait_until_painted(0.35, 0.3)
    screenshot(tab, "correcting")
    tab.drag((0.45, 0.6), (0.45, 0.95))  # its corner, down
    tab.wait_until_painted(0.35, 0.9)

    tab.page.keyboard.press("Control+z")
    tab.wait_until_painted(0.35, 0.9, painted=False)
    tab.do("undo")
    tab.wait_until_painted(0.2, 0.3)
    tab.page.click(".chips button >> nth=1")  # another object
    tab.page.keyboard.down("Shift")
    tab.click(0.9, 0.7)
    tab.page.keyboard.up("Shift")
    tab.wait_until_painted(0.9, 0.3, painted=False)

    tab.do("save")
    tab.wait_for(f"Saved: 1 question in {kept}", ".status")
    ((sample,), _) = read_samples(kept)
    truth = load_sample(sample).masks
    assert sample.question == "What is left and right?" and truth.shape == (2, 200, 300)
    assert not truth[0, :, 30].any() and truth[0, :, 60].all() and not truth[1, :, 270].any()
    tab.page.keyboard.press("Escape")
    tab.page.wait_for_selector("button[data-do=correct]:focus")
    assert not tab.errors


def test_the_keyboard_corrects_as_well(answered: Tab):
    tab = answered
    tab.page.focus("button[data-do=correct]")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("button[data-tool=add]:focus")
    tab.page.focus(".paint")
    for _ in range(4):
        tab.page.keyboard.press("Shift+ArrowLeft")  # 5 % of the width each, from the middle
    tab.page.keyboard.press("Delete")
    tab.wait_until_painted(0.3, 0.3, painted=False)
    tab.page.keyboard.press("Enter")
    tab.wait_until_painted(0.3, 0.3)


def test_fingers_correct_as_well(open_tab, picture: Path, screenshot):
    tab = open_tab(PHONE, has_touch=True, is_mobile=True)
    tab.upload(picture)
    tab.answer("What is left?")
    tab.wait_until_painted(0.1, 0.3)
    tab.page.tap("button[data-do=correct]")
    tab.wait_for("tap it", ".status")
    tab.page.tap("button[data-tool=remove]")
    tab.page.touchscreen.tap(*tab.at(0.1, 0.5))
    tab.wait_until_painted(0.1, 0.3, painted=False)
    screenshot(tab, "phone-correcting")
    tab.page.tap("button[data-do=undo]")
    tab.wait_until_painted(0.1, 0.3)


def test_earlier_answers_come_back(answered: Tab, screenshot):
    tab = answered
    assert tab.page.locator(".turns").is_hidden()
    tab.answer("What is right?")
    tab.wait_until_painted(0.1, 0.3, painted=False)
    tab.wait_for("2 / 2", ".turns")
    tab.page.click("#chat [data-testid=user] >> nth=0")
    tab.wait_for("1 / 2", ".turns")
    tab.wait_until_painted(0.1, 0.3)
    tab.wait_for("2 objects", ".status")
    assert tab.page.inner_text("#chat .user-row[data-shown]").strip() == "What is left and right?"
    tab.do("later")
    tab.wait_for("2 / 2", ".turns")
    tab.wait_until_painted(0.1, 0.3, painted=False)
    screenshot(tab, "recalled")
    tab.do("another")  # and from the empty stage too
    tab.page.wait_for_selector("#picture input[type=file]", state="attached")
    tab.page.click("#chat [data-testid=user] >> nth=0")
    tab.wait_until_painted(0.1, 0.3)
    assert not tab.errors


def test_the_inspector_shows_what_is_behind(answered: Tab):
    tab = answered
    tab.do("inspect")
    tab.wait_for("Masks considered for object 1", ".inspector")
    shown = tab.page.inner_text(".inspector")
    assert "<answer>[]</answer>" in shown and "Model's frame, 280 × 280" in shown
    assert "0, 0, 150, 200" in shown and "Picture, 300 × 200" in shown
    assert [each.strip() for each in tab.page.locator(".candidates figcaption").all_inner_texts()] == [
        "0.90 · taken",
        "0.60",
        "0.25",
    ]
    size = "(c => [c.width, c.height])(document.querySelector('.candidates canvas'))"
    eventually(lambda: tab.page.evaluate(size), [203, 200])  # the left half, and a third of its width more
    tab.page.click(".inspector td button >> nth=1")
    tab.wait_for("Masks considered for object 2", ".inspector")
    tab.page.keyboard.press("Escape")
    assert tab.page.locator(".inspector").is_hidden() and not tab.errors
