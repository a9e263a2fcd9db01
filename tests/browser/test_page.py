"""The page in a real Chromium, answering with a fake: python -m pytest tests/browser

Screenshots are left in screenshots/, for people to look at.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes import THOUGHT, FakePipeline
from PIL import Image, ImageDraw

import app

pytestmark = pytest.mark.browser

PAUSE_S = 0.08  # between two words: the thought takes long enough to be seen growing
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
DONE = ".stage[data-state=done]"


@dataclass
class Tab:
    """A page in the browser, and what a visitor does with it."""

    page: object
    requests: list[str]
    errors: list[str]

    def upload(self, path: Path) -> None:
        self.page.set_input_files("#picture input[type=file]", path)
        self.page.wait_for_selector("#picture img")

    def ask(self, question: str) -> None:
        self.page.fill("#question textarea", question)
        self.page.press("#question textarea", "Enter")

    def chat(self) -> str:
        return self.page.inner_text("#chat")

    def wait_for(self, text: str) -> None:
        self.page.wait_for_function(
            "text => document.querySelector('#chat').innerText.includes(text)", arg=text
        )

    def painted(self, x: float, y: float) -> list[int]:
        """RGBA of the canvas at a place given as parts of its width and height."""
        return self.page.evaluate(
            """([x, y]) => {
                const canvas = document.querySelector(".paint");
                const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1];
                return [...canvas.getContext("2d").getImageData(...at).data];
            }""",
            [x, y],
        )

    def wait_until_painted(self, x: float, y: float, *, painted: bool = True) -> None:
        self.page.wait_for_function(
            """([x, y, painted]) => {
                const canvas = document.querySelector(".paint");
                const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1];
                return (canvas.getContext("2d").getImageData(...at).data[3] > 100) === painted;
            }""",
            arg=[x, y, painted],
        )


@pytest.fixture(scope="module")
def pipeline() -> FakePipeline:
    return FakePipeline(pause=PAUSE_S)


@pytest.fixture(scope="module")
def address(pipeline: FakePipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page, served by this process."""
    with pytest.MonkeyPatch.context() as patch, socket.socket() as free:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        page = app.build_page(pipeline)
        app.serve(page, server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True)
        yield f"http://127.0.0.1:{port}/"
        page.close()


@pytest.fixture
def open_tab(browser, address: str):
    """open_tab(viewport, dark): a new visitor's page."""
    contexts = []

    def open_(viewport: dict[str, int] = DESKTOP, *, dark: bool = False) -> Tab:
        context = browser.new_context(viewport=viewport, color_scheme="dark" if dark else "light")
        contexts.append(context)
        tab = Tab(context.new_page(), [], [])
        tab.page.on("request", lambda request: tab.requests.append(request.url))
        tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
        tab.page.goto(address)
        tab.page.wait_for_selector("#question textarea")
        return tab

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = Image.new("RGB", (300, 200), "#dbe4ee")
    pen = ImageDraw.Draw(image)
    pen.ellipse((30, 40, 130, 170), fill="#7c3aed")
    pen.rectangle((180, 60, 270, 160), fill="#0f766e")
    path = tmp_path_factory.mktemp("pictures") / "shapes.png"
    image.save(path)
    return path


@pytest.fixture
def screenshot(repo: Path):
    folder = repo / "screenshots"
    folder.mkdir(exist_ok=True)
    return lambda tab, name: tab.page.screenshot(path=folder / f"{name}.png")


def overflow(tab: Tab) -> list[int]:
    """By how many pixels the page is wider and higher than its window."""
    return tab.page.evaluate(
        "(page => [page.scrollWidth - innerWidth, page.scrollHeight - innerHeight])(document.documentElement)"
    )


def test_a_question_from_upload_to_masks(open_tab, picture: Path, screenshot):
    tab = open_tab()
    screenshot(tab, "desktop-empty")
    tab.upload(picture)
    tab.ask("What is left?")

    tab.wait_for("The question asks")
    early = tab.chat()
    assert "halves." not in early
    tab.wait_for(THOUGHT)  # it has grown to its end

    tab.page.wait_for_selector(DONE)
    tab.wait_for("1 object · 0.5 s · 64 tokens")
    tab.wait_until_painted(0.3, 0.3)
    assert tab.painted(0.7, 0.3)[3] == 0  # nothing on the right half
    red, green, blue, _ = tab.painted(0.3, 0.3)
    assert blue > green > red  # the first colour, sky blue
    assert tab.page.inner_text(".chips") == "1 · 0.90"
    assert "<answer>" not in tab.chat()  # the raw answer is folded
    assert (
        tab.page.evaluate("getComputedStyle(document.querySelector('.sweep')).opacity") == "0"
    )  # no longer busy
    screenshot(tab, "desktop-answer")
    assert not tab.errors


def test_two_objects_can_be_told_apart_and_hidden(open_tab, picture: Path):
    tab = open_tab()
    tab.upload(picture)
    tab.ask("What is left and right?")
    tab.page.wait_for_selector(DONE)
    tab.wait_until_painted(0.3, 0.3)
    tab.wait_until_painted(0.7, 0.3)
    strength = tab.painted(0.7, 0.3)[3]

    tab.page.click(".chips button >> nth=0")  # singles out the first: the second fades
    tab.page.mouse.move(0, 0)
    tab.wait_until_painted(0.7, 0.3, painted=False)
    assert 0 < tab.painted(0.7, 0.3)[3] < strength
    tab.page.click(".chips button >> nth=0")
    tab.page.mouse.move(0, 0)
    tab.wait_until_painted(0.7, 0.3)

    tab.page.click("button[data-layer=masks]")
    tab.wait_until_painted(0.3, 0.3, painted=False)
    tab.page.click("button[data-layer=masks]")
    tab.wait_until_painted(0.3, 0.3)

    tab.page.hover("button[data-hold]")
    tab.page.mouse.down()
    tab.wait_until_painted(0.3, 0.3, painted=False)
    tab.page.mouse.up()
    tab.wait_until_painted(0.3, 0.3)

    box = tab.page.locator(".paint").bounding_box()
    tab.page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.3 * box["height"])
    tab.page.wait_for_function("document.querySelector('.tip').textContent === '2 · 0.80'")


def test_clicks_correct_a_mask(open_tab, picture: Path):
    tab = open_tab()
    tab.upload(picture)
    tab.ask("What is left?")
    tab.page.wait_for_selector(DONE)
    tab.wait_until_painted(0.1, 0.3)
    tab.page.click("button[data-do=correct]")
    box = tab.page.locator(".paint").bounding_box()
    at = {"x": 0.1 * box["width"], "y": 0.8 * box["height"]}
    tab.page.click(".paint", position=at, button="right")  # the fake removes a band of pixels
    tab.wait_until_painted(0.1, 0.3, painted=False)
    tab.page.click(".paint", position=at)
    tab.wait_until_painted(0.1, 0.3)
    assert "Object 1 corrected" in tab.page.inner_text(".status")


def test_stop_keeps_what_is_there(open_tab, picture: Path, pipeline: FakePipeline):
    tab = open_tab()
    tab.upload(picture)
    before = pipeline.stopped
    tab.ask("What is left?")
    tab.wait_for("The question asks")
    tab.page.click("#question button:has-text('Stop')")
    tab.wait_for("Stopped · ")
    tab.page.wait_for_selector(DONE)
    assert "The question asks" in tab.chat() and "halves." not in tab.chat()
    assert pipeline.stopped == before + 1

    tab.ask("What is right?")  # and the page goes on
    tab.wait_for("1 object")
    tab.wait_until_painted(0.7, 0.3)


def test_one_waits_while_another_is_answered(open_tab, picture: Path):
    first, second = open_tab(), open_tab()
    for tab in (first, second):
        tab.upload(picture)
    first.ask("What is left?")
    first.wait_for("The question asks")
    second.ask("What is right?")
    second.page.wait_for_selector(".status:has-text('Waiting for the model')")
    second.page.click("#question button:has-text('Stop')")
    second.wait_for("Stopped.")
    first.wait_for("1 object")
    second.ask("What is right?")
    second.wait_for("1 object")
    second.wait_until_painted(0.7, 0.3)
    assert first.painted(0.7, 0.3)[3] == 0 and "right" not in first.chat()


def test_honest_states(open_tab, picture: Path, screenshot):
    tab = open_tab()
    tab.upload(picture)
    tab.ask("What is above?")
    tab.wait_for("Nothing in the picture matches")
    tab.ask("What is unreadable?")
    tab.wait_for("The answer could not be read")
    tab.wait_for("<think>I am not sure</think> It is 42.")
    tab.ask("Will it crash?")
    tab.wait_for("Something went wrong here.")
    screenshot(tab, "states")
    tab.page.click(".another")
    tab.page.wait_for_selector("#picture input[type=file]", state="attached")
    assert "What is above?" in tab.chat()  # the conversation stays


def test_what_cannot_be_asked_is_said_before_anything_runs(open_tab, tmp_path: Path, picture: Path):
    tab = open_tab()
    tab.ask("What is left?")
    tab.page.wait_for_selector("text=Add a picture first.")
    whole = picture.read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    tab.page.set_input_files("#picture input[type=file]", tmp_path / "cut.png")
    tab.page.wait_for_selector("#picture button[aria-label*=Remove], #picture button[aria-label*=Clear]")
    tab.ask("What is left?")
    tab.page.wait_for_selector("text=/cut.png: .*damaged/")


def test_words_are_never_markup(open_tab, picture: Path):
    tab = open_tab()
    tab.upload(picture)
    words = "<img src=https://example.org/x.png onerror=alert(1)> ![](https://example.org/y.png) ${1+1} left"
    tab.ask(words)
    tab.wait_for("1 object")
    assert words in tab.chat()
    assert not [url for url in tab.requests if "example.org" in url]


@pytest.mark.parametrize(
    ("name", "look"),
    [("desktop-dark", (DESKTOP, True)), ("phone", (PHONE, False)), ("phone-dark", (PHONE, True))],
)
def test_it_fits_every_window_and_asks_nobody_else(open_tab, picture, screenshot, address, name, look):
    viewport, dark = look
    tab = open_tab(viewport, dark=dark)
    assert overflow(tab) == [0, 0]
    tab.upload(picture)
    tab.ask("What is left and right?")
    tab.page.wait_for_selector(DONE)
    tab.wait_for("2 objects")
    tab.wait_until_painted(0.7, 0.3)
    screenshot(tab, name)
    assert overflow(tab) == [0, 0]
    assert not [url for url in tab.requests if not url.startswith((address, "data:", "blob:"))]


def test_the_switch_between_light_and_dark(open_tab):
    tab = open_tab()
    ground = "getComputedStyle(document.body).backgroundColor"
    light = tab.page.evaluate(ground)
    tab.page.click(".scheme")
    tab.page.wait_for_function(f"light => {ground} !== light", arg=light)
