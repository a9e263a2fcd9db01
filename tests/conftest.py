"""What every test runs under: two threads, no look-ups on a network, a time limit; and a browser to ask for.

python -m pytest -m "not slow and not browser"
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

# Libraries read these once, at their first import, so they stand above every other import.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads crawl on cores that others use as well
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import pytest  # noqa: E402

TIMEOUT_S = 600
"""A test that takes longer than this hangs, on however slow a machine: idle, none takes a tenth of it."""

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


NEED_TRL = ["test_grpo.py", "test_grpo_arguments.py", "test_grpo_learns.py", "test_trainer.py"]
collect_ignore = [] if importlib.util.find_spec("trl") else NEED_TRL


def pytest_report_header() -> str:
    return f"without trl (it needs Python 3.11), not run: {', '.join(NEED_TRL)}" if collect_ignore else ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give every test without a limit of its own the common one, where pytest-timeout is installed."""
    if not config.pluginmanager.hasplugin("timeout"):
        return
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """A headless Chromium (playwright's Browser); a test takes a fresh page with `browser.new_page()`.

    It goes with its module: playwright keeps an event loop running for as long as it lives.
    """
    executable = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if executable is None:
        pytest.skip(f"no browser: none of {', '.join(CHROMIUM_NAMES)} is on the PATH")
    playwright = pytest.importorskip("playwright.sync_api", reason="no browser driver: playwright is missing")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=executable, headless=True, args=list(CHROMIUM_ARGS), timeout=120_000
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A page that a fake answers, served to programs: tests/shared/serving.py, Site."""
    from tests.shared.serving import site  # which takes seconds to import, and few tests want it

    with site(tmp_path_factory.mktemp("site")) as opened:
        yield opened
