"""Taking answers away, and waiting among others, in a real Chromium: python -m pytest tests/browser"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from gradio_client import handle_file
from gradio_client.utils import Status
from PIL import Image

from segzero.pictures import from_json
from tests.shared.serving import Client, eventually

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


def test_who_waits_sees_the_place_in_the_queue(open_tab, address: str, picture: Path, pipeline):
    tab, program, file = open_tab(), Client(address), handle_file(str(picture))
    tab.upload(picture)
    questions = ["What is left?", "What is below?", "What is above?"]
    answered: set[str] = set()
    pipeline.holds = holds = lambda question, event: question not in answered
    ahead = [program.submit(image=file, question=each, api_name="/segment") for each in questions]

    def begun() -> list[int]:
        return [number for number, job in enumerate(ahead) if job.outputs() and not job.done()]

    eventually(lambda: sum(job.status().code is Status.IN_QUEUE for job in ahead), 2)
    tab.ask("What is right?", holds)
    tab.wait_for("queue: 3/3")
    for place in ("queue: 2/2", "queue: 1/1"):
        eventually(lambda: len(begun()), 1)
        (number,) = begun()
        answered.add(questions[number])
        tab.wait_for(place)
        eventually(ahead[number].done)
    answered.update(questions)
    tab.wait_for("Thinking…", ".status")
    answered.add("What is right?")
    tab.wait_for("1 object")
    assert not tab.errors
