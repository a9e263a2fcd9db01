"""Take the README's pictures of the page: the bundled mini answers examples in a real browser.

python -m docs.screenshot                   # writes assets/readme*.webp; needs chromium and playwright
python -m docs.screenshot --out /tmp        # elsewhere, to look at first
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import app
import segzero
from page.examples import FOLDER
from segzero.contract import mask_to_box, mask_to_points
from segzero.pictures import decode_rle

ASSETS = Path(__file__).resolve().parents[1] / "assets"
WINDOW = {"width": 1280, "height": 800}
PORT = 7871
FADED_IN_MS = 800


def answered(page: Page, example: int) -> None:
    """Click an example's card, wait until it is answered and its masks are painted."""
    page.goto(f"http://127.0.0.1:{PORT}/")
    page.click(f"#chat .example >> nth={example}")
    page.wait_for_selector(".stage[data-state=done]", timeout=120_000)
    page.wait_for_selector(".chips button")


def answer(page: Page) -> None:
    answered(page, 0)


def correction(page: Page) -> None:
    """A mask being corrected: the object's true box has been drawn, and a point on it added."""
    answered(page, 0)
    mask = decode_rle(json.loads((FOLDER / "examples.json").read_text("utf-8"))[0]["mask"])
    (x1, y1, x2, y2), (point,) = mask_to_box(mask), mask_to_points(mask)
    page.click("button[data-do=correct]")
    shown = page.locator(".paint").bounding_box()
    scale = shown["width"] / mask.shape[1]
    places = [(shown["x"] + x * scale, shown["y"] + y * scale) for x, y in ((x1, y1), (x2, y2), point)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=5)
    page.mouse.up()
    page.wait_for_selector(".status:has-text('corrected')")
    page.mouse.click(*places[2])
    page.wait_for_timeout(FADED_IN_MS)


def inspection(page: Page) -> None:
    answered(page, 2)
    page.click("button[data-do=inspect] >> nth=0")
    page.wait_for_selector(".candidates figure >> nth=2")


PICTURES: dict[str, tuple[Callable[[Page], None], bool]] = {  # file -> what to do, and whether in the dark
    "readme.webp": (answer, False),
    "readme-correct.webp": (correction, True),
    "readme-inspect.webp": (inspection, False),
}


def take(browser: Browser, act: Callable[[Page], None], dark: bool) -> Image.Image:
    scheme = "dark" if dark else "light"
    page = browser.new_page(viewport=WINDOW, device_scale_factor=1.5, color_scheme=scheme)
    act(page)
    page.mouse.move(0, 0)
    page.wait_for_timeout(FADED_IN_MS)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.close()
    return picture


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ASSETS, help="folder (default: assets)")
    args = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("There is no chromium on the PATH: install one.", file=sys.stderr)
        return 1
    site = app.build_page(segzero.load("mini"), app.CORRECTIONS)
    app.serve(site, server_name="127.0.0.1", server_port=PORT, prevent_thread_lock=True, quiet=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, (act, dark) in PICTURES.items():
            take(browser, act, dark).save(args.out / name, quality=85, method=6)
        browser.close()
    site.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
