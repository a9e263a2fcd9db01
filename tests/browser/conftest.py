"""A page that a fake answers, in a real Chromium: what the browser tests share.

Nothing goes by the clock: an answer is held where a test looks at it, and what is to be seen is waited for.
Screenshots are left in screenshots/, for people to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

import app
from segzero.contract import Thinking
from tests.shared.fakes import FakePipeline, Holds, after, never
from tests.shared.serving import PATIENCE_S, served, temporary_uploads

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
DONE = ".stage[data-state=done]"
LOADED = ("#question textarea", "#picture input[type=file]", "#chat .example", ".preset:not(:empty)")

PAINTED = """([x, y]) => {
    const canvas = document.querySelector(".paint");
    if (!canvas) return [0, 0, 0, 0];
    const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1];
    return [...canvas.getContext("2d").getImageData(...at).data];
}"""


@dataclass
class Tab:
    """A page in the browser, and what a visitor does with it. Places are parts of the picture's sides."""

    page: object
    pipeline: FakePipeline
    requests: list[str]
    errors: list[str]

    def upload(self, path: Path) -> None:
        self.page.set_input_files("#picture input[type=file]", path)
        self.page.wait_for_selector("#picture img")

    def ask(self, question: str, holds: Holds = never) -> None:
        """Ask, and return as soon as the page is busy with it. The answer goes on up to where it is held."""
        self.pipeline.holds = after(Thinking)  # or the page might be done before anybody has looked
        self.page.fill("#question textarea", question)
        self.page.press("#question textarea", "Enter")
        self.page.wait_for_selector(".stage[data-state=busy]")
        self.page.wait_for_selector("#question button.stop-button")
        self.pipeline.holds = holds

    def answer(self, question: str) -> None:
        """Ask, and wait for the end of the answer."""
        self.ask(question)
        self.wait_for_end()

    def wait_for_end(self) -> None:
        self.page.wait_for_selector(DONE)
        self.page.wait_for_selector("#question button.submit-button")

    def stop(self) -> None:
        self.page.click("#question button.stop-button")

    def do(self, action: str) -> None:
        self.page.locator(f"button[data-do={action}]:visible").first.click()

    def chat(self) -> str:
        return self.page.inner_text("#chat")

    def status(self) -> str:
        return self.page.inner_text(".status")

    def wait_for(self, text: str, where: str = "#chat") -> None:
        self.page.wait_for_function(
            "([where, text]) => document.querySelector(where).innerText.includes(text)", arg=[where, text]
        )

    def painted(self, x: float, y: float) -> list[int]:
        """RGBA of the canvas at a place."""
        return self.page.evaluate(PAINTED, [x, y])

    def wait_until_painted(self, x: float, y: float, *, painted: bool = True) -> None:
        test = f"([x, y, painted]) => (({PAINTED})([x, y])[3] > 100) === painted"
        self.page.wait_for_function(test, arg=[x, y, painted])

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A place, in pixels of the window."""
        box = self.page.locator(".paint").bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def click(self, x: float, y: float, **options: str) -> None:
        self.page.mouse.click(*self.at(x, y), **options)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(*end), steps=4)
        self.page.mouse.up()


@contextmanager
def serving(pipeline, cache: Path, **options) -> Iterator[str]:
    """The page, served by this process; yields its address. options: of build_page."""
    with temporary_uploads(cache), served(app.build_page(pipeline, **options)) as address:
        yield f"{address}/"


@contextmanager
def opening(browser, pipeline) -> Iterator[Callable[..., Tab]]:
    """open_(address, viewport, dark=…, **options of a browser context): a new visitor's page."""
    contexts = []

    def open_(address: str, viewport: dict[str, int] = DESKTOP, *, dark: bool = False, **options) -> Tab:
        scheme = "dark" if dark else "light"
        context = browser.new_context(
            viewport=viewport, color_scheme=scheme, reduced_motion="reduce", **options
        )
        contexts.append(context)
        context.set_default_timeout(1000 * PATIENCE_S)
        tab = Tab(context.new_page(), pipeline, [], [])
        tab.page.on("request", lambda request: tab.requests.append(request.url))
        tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
        tab.page.goto(address)
        for part in LOADED:  # they come one by one
            tab.page.wait_for_selector(part, state="attached")
        return tab

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def pipeline() -> FakePipeline:
    return FakePipeline()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page saves corrections."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def address(browser, pipeline, kept: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page; `browser` comes first, so that nothing is served where there is none."""
    with serving(pipeline, tmp_path_factory.mktemp("gradio"), corrections=kept) as at:
        yield at


@pytest.fixture
def open_tab(browser, address: str, pipeline: FakePipeline) -> Iterator[Callable[..., Tab]]:
    """open_tab(viewport, dark=…): a new visitor's page."""
    with opening(browser, pipeline) as open_:
        yield lambda *arguments, **options: open_(address, *arguments, **options)
        pipeline.holds = never  # should the test have failed


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ellipse left, a rectangle right, 300 x 200."""
    image = Image.new("RGB", (300, 200), "#dbe4ee")
    pen = ImageDraw.Draw(image)
    pen.ellipse((30, 40, 130, 170), fill="#7c3aed")
    pen.rectangle((180, 60, 270, 160), fill="#0f766e")
    path = tmp_path_factory.mktemp("pictures") / "shapes.png"
    image.save(path)
    return path


@pytest.fixture
def screenshot(repo: Path) -> Callable[[Tab, str], object]:
    folder = repo / "screenshots"
    folder.mkdir(exist_ok=True)
    return lambda tab, name: tab.page.screenshot(path=folder / f"{name}.png")
