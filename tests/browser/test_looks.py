"""How the page looks, in a real Chromium: it fits, it can be read and reached, and it asks nobody else.

python -m pytest tests/browser/test_looks.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shared.serving import eventually

from .conftest import DESKTOP, PHONE, Tab

pytestmark = pytest.mark.browser

OVERFLOW = (
    "(page => [page.scrollWidth - innerWidth, page.scrollHeight - innerHeight])(document.documentElement)"
)

TOO_FAINT = (Path(__file__).parent / "contrast.js").read_text("utf-8")

NAME = """(node) => node.getAttribute("aria-label") || node.innerText?.trim()
    || node.labels?.[0]?.innerText.split("\\n")[0]
    || node.getAttribute("placeholder") || node.title || "unnamed " + node.outerHTML.slice(0, 120)"""

SHOWS_FOCUS = """(node) => {
    const style = getComputedStyle(node.type === "textarea" ? node.closest(".block") : node);
    return style.outlineStyle !== "none" || style.boxShadow !== "none" || node.type === "file";
}"""


@pytest.mark.parametrize(
    ("name", "viewport", "dark"),
    [
        ("desktop", DESKTOP, False),
        ("desktop-dark", DESKTOP, True),
        ("phone", PHONE, False),
        ("phone-dark", PHONE, True),
    ],
)
def test_it_fits_can_be_read_and_asks_nobody_else(
    open_tab, picture, screenshot, address, name, viewport, dark
):
    def fits_and_can_be_read() -> None:
        eventually(lambda: tab.page.evaluate(OVERFLOW), [0, 0])
        eventually(lambda: tab.page.evaluate(TOO_FAINT), [])

    tab = open_tab(viewport, dark=dark)
    fits_and_can_be_read()
    screenshot(tab, f"{name}-empty")
    tab.upload(picture)
    tab.answer("What is left and right?")
    tab.wait_until_painted(0.7, 0.3)
    fits_and_can_be_read()
    screenshot(tab, name)
    tab.do("correct")
    fits_and_can_be_read()
    tab.do("done")
    tab.do("inspect")
    tab.page.wait_for_selector(".candidates figure >> nth=2")
    fits_and_can_be_read()
    assert not [url for url in tab.requests if not url.startswith((address, "data:", "blob:"))]
    assert not tab.errors


def test_it_fits_windows_of_other_sizes(open_tab, picture: Path):
    tab = open_tab()
    tab.upload(picture)
    tab.answer("Which tenths?")
    for width, height in [(360, 640), (844, 390), (820, 1180), (1024, 768), (1920, 1080)]:
        tab.page.set_viewport_size({"width": width, "height": height})
        eventually(lambda: tab.page.evaluate(OVERFLOW), [0, 0])
        bottom = tab.page.evaluate("document.querySelector('#question').getBoundingClientRect().bottom")
        assert bottom <= height, (width, height)


def test_faint_text_would_be_found(open_tab):
    tab = open_tab()
    tab.page.evaluate("""() => document.querySelector(".header").insertAdjacentHTML(
        "beforeend", "<b style='color: #94a3b8'>faint</b><b style='color: #64748b'>clear</b>")""")
    eventually(lambda: tab.page.evaluate(TOO_FAINT), [["2.56", "faint"]])


def reached(tab: Tab) -> list[str]:
    """What Tab comes by, from the top of the page on."""
    tab.page.evaluate("(document.body.tabIndex = -1, document.body.focus())")
    names = []
    for _ in range(60):
        tab.page.keyboard.press("Tab")
        node = tab.page.evaluate_handle("document.activeElement")
        if node.evaluate("node => node === document.body || node === document.documentElement"):
            break
        assert node.evaluate(SHOWS_FOCUS), node.evaluate(NAME)
        names.append(node.evaluate(NAME))
    return names


def test_all_is_reached_by_keyboard_has_a_name_and_shows_its_focus(open_tab, picture: Path):
    tab = open_tab()
    empty = reached(tab)
    assert not [name for name in empty if name.startswith("unnamed")]
    assert any("rains" in name for name in empty)  # the first example
    tab.upload(picture)
    tab.answer("What is left and right?")
    tab.answer("What is right?")
    tab.wait_until_painted(0.7, 0.3)
    names = reached(tab)
    assert not [name for name in names if name.startswith("unnamed")]
    wanted = [
        "Earlier answer",
        "Use another picture",
        "Inspect the answer",
        "Download",
        "Full screen",
        "Masks",
        "Boxes",
    ]
    wanted += ["Points", "Opacity of the masks", "Correct", "Compare", "1 · 0.90", "Question", "Ask"]
    assert [name for name in names if name in wanted] == wanted


def test_the_switch_between_light_and_dark(open_tab):
    tab = open_tab()
    ground = "getComputedStyle(document.body).backgroundColor"
    light = tab.page.evaluate(ground)
    tab.page.click(".scheme")
    tab.page.wait_for_function(f"light => {ground} !== light", arg=light)
