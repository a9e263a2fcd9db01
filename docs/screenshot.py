"""Take the README's picture of the page: the bundled mini answers an example in a real browser.

python -m docs.screenshot                   # writes assets/readme.webp; needs chromium and playwright
python -m docs.screenshot --example 1 --dark --out dark.webp
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

import app
import segzero

OUT = Path(__file__).resolve().parents[1] / "assets" / "readme.webp"
WINDOW = {"width": 1280, "height": 800}
PORT = 7871
FADED_IN_MS = 800


def take(page: Page, example: int) -> Image.Image:
    """Click an example's card, wait until it is answered and its masks are painted, take the picture."""
    page.goto(f"http://127.0.0.1:{PORT}/")
    page.click(f"#chat .example >> nth={example}")
    page.wait_for_selector(".stage[data-state=done]", timeout=120_000)
    page.wait_for_selector(".chips button")
    page.mouse.move(0, 0)
    page.wait_for_timeout(FADED_IN_MS)
    return Image.open(io.BytesIO(page.screenshot()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--example", type=int, default=0, help="which card, from 0")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("There is no chromium on the PATH: install one.", file=sys.stderr)
        return 1
    site = app.build_page(segzero.load("mini"))
    app.serve(site, server_name="127.0.0.1", server_port=PORT, prevent_thread_lock=True, quiet=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        look = {
            "viewport": WINDOW,
            "device_scale_factor": 1.5,
            "color_scheme": "dark" if args.dark else "light",
        }
        picture = take(browser.new_page(**look), args.example)
        browser.close()
    picture.convert("RGB").save(args.out, quality=85, method=6)
    site.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
