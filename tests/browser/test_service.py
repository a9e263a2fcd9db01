"""Taking answers away, and waiting among others, in a real Chromium: python -m pytest tests/browser"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.utils import Status
from PIL import Image

from segzero.export import from_json

pytestmark = pytest.mark.browser


def test_an_answer_is_taken_away_as_a_zip(open_tab, picture: Path):
    tab = open_tab(accept_downloads=True)
    tab.upload(picture)
    tab.answer("What is left and right?")
    for _ in range(2):  # a second time as well as the first
        with tab.page.expect_download() as download:
            tab.do("take")
        tab.wait_for("Zip of ", ".status")
    assert download.value.suggested_filename == "what-is-left-and-right.zip"
    with zipfile.ZipFile(download.value.path()) as archive:
        result = from_json(json.loads(archive.read("result.json")))
        right = np.asarray(Image.open(io.BytesIO(archive.read("mask-2.png")))) > 0
        cut = Image.open(io.BytesIO(archive.read("cutout-1.png")))
        kept = Image.open(io.BytesIO(archive.read("picture.png")))
    assert kept == Image.open(picture) and (cut.size, cut.mode) == ((300, 200), "RGBA")
    assert np.array_equal(right, result.masks[1]) and right[:, 150:].all() and not right[:, :150].any()
    assert not tab.errors


def test_who_waits_sees_the_place_in_the_queue(open_tab, address: str, picture: Path, pipeline, monkeypatch):
    monkeypatch.setattr(pipeline, "_pause", 0.4)
    tab, program, file = open_tab(), Client(address, verbose=False), handle_file(str(picture))
    tab.upload(picture)
    ahead = [program.submit(image=file, question="What is left?", api_name="/segment") for _ in range(3)]
    queued = []
    while len(queued) < 2:  # the third has begun
        tab.page.wait_for_timeout(20)
        queued = [job for job in ahead if job.status().code is Status.IN_QUEUE]
    tab.ask("What is right?")
    tab.wait_for("queue: 3/3")
    queued[-1].cancel()
    tab.wait_for("queue: 2/2")
    monkeypatch.setattr(pipeline, "_pause", 0.0)
    tab.wait_for("1 object")
    assert not tab.errors
