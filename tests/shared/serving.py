"""A page that is really served, for tests that come over HTTP or in a browser, on a machine however slow.

Nothing here, nor in what is served, gives up before PATIENCE_S: libraries' own limits of 3 and 5 seconds are
too short where the server, its caller and other people's work share a core or two.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import gradio_client
import httpx
import pytest
from PIL import Image

import app
from tests.shared.fakes import FakePipeline

PATIENCE_S = 180
"""What takes longer hangs. No test says by this how fast anything is."""

get, post, stream = (partial(call, timeout=PATIENCE_S) for call in (httpx.get, httpx.post, httpx.stream))
Client = partial(gradio_client.Client, verbose=False, httpx_kwargs={"timeout": PATIENCE_S})
FILE = {"_type": "gradio.FileData"}


def eventually(read: Callable[[], object], wanted: object = True) -> None:
    """Read until it is what is wanted."""
    end = time.monotonic() + PATIENCE_S
    while (found := read()) != wanted and time.monotonic() < end:
        time.sleep(0.02)
    assert found == wanted


@contextmanager
def temporary_uploads(folder: Path) -> Iterator[None]:
    """Pages that are built meanwhile keep their files in `folder`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        patch.setattr("gradio.mcp.DEFAULT_TEMP_DIR", str(folder))
        yield


@contextmanager
def served(page: gr.Blocks, **options: object) -> Iterator[str]:
    """The page's address, on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with patient():
        app.serve(
            page, server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True, **options
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            page.close()


@contextmanager
def patient() -> Iterator[None]:
    """Gradio, and the page when somebody presses Stop, take the time they need."""
    standing = SimpleNamespace(time=lambda: 0.0, sleep=time.sleep)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gradio.http_server.time", standing)  # a server has 5 s to start
        patch.setattr("gradio.networking.url_ok", lambda url: True)  # and 3 s for its first page
        patch.setattr("gradio.mcp.Client", Client)  # 5 s for what its tool asks of itself
        patch.setattr("page.listeners.PATIENCE_S", PATIENCE_S)  # an answer has 0.4 s to end after Stop
        yield


@dataclass(frozen=True)
class Site:
    """A page as programs meet it. picture: a file of theirs, 60 x 40; uploads: where the page keeps files."""

    page: gr.Blocks
    pipeline: FakePipeline
    address: str
    uploads: Path
    picture: Path

    def put(self, path: Path) -> dict:
        """Upload a file -> what names it from then on."""
        reply = post(f"{self.address}/gradio_api/upload", files={"files": (path.name, path.read_bytes())})
        return {"path": reply.json()[0], "meta": FILE}

    def ask(self, image: object, question: object = "What is left?") -> httpx.Response:
        """Begin to ask over HTTP: the reply names the event, or says what cannot be asked."""
        return post(f"{self.address}/gradio_api/call/segment", json={"data": [image, question]})


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """A page that a fake answers; programs are told of every word, however soon it comes."""
    pipeline, uploads, picture = FakePipeline(), folder / "uploads", folder / "picture.png"
    Image.new("RGB", (60, 40), "teal").save(picture)
    uploads.mkdir()
    with pytest.MonkeyPatch.context() as patch, temporary_uploads(uploads):
        patch.setattr("page.api.UPDATES_PER_SECOND", 1e9)
        page = app.build_page(pipeline)
        with served(page) as address:
            yield Site(page, pipeline, address, uploads, picture)
