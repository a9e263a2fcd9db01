"""A page that is really served, for tests that come over HTTP."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import pytest

import app


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
    app.serve(
        page, server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True, **options
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        page.close()
