"""The bundled model behind a server that nobody here wrote: `transformers serve`, on loopback.

python -m pytest tests/reasoner/test_transformers_serve.py
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import segzero
from segzero.__main__ import main
from segzero.contract import MINI, Thinking
from segzero.data import Item, write_dataset
from segzero.evaluation import read_records
from segzero.pictures import load_picture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path(MINI.reasoner).is_dir() or importlib.util.find_spec("uvicorn") is None,
        reason="the bundled weights or transformers[serving] are missing",
    ),
]
EXAMPLES = Path(MINI.reasoner).parents[1] / "examples"
ASKED = [("rain.webp", "What could keep me dry?"), ("traffic.webp", "the bus"), ("rain.webp", "the dog")]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address, once it answers. fp32, as on a CPU here, so that the answers can be the same."""
    port, log = free_port(), tmp_path_factory.mktemp("serve") / "log"
    command = [Path(sys.executable).with_name("transformers"), "serve", MINI.reasoner, "--device", "cpu"]
    command += ["--dtype", "float32", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "HF_HUB_OFFLINE": "1"})
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                    break
                except OSError:
                    assert server.poll() is None, log.read_text()
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(60)


@pytest.fixture(scope="module")
def local() -> segzero.Pipeline:
    return segzero.load("mini", device="cpu")


@pytest.fixture(scope="module")
def remote(address: str, local: segzero.Pipeline) -> segzero.Pipeline:
    return segzero.load("mini", reasoner=address, segmenter=local.segmenter)


def test_it_answers_as_in_this_process_and_streams(local: segzero.Pipeline, remote: segzero.Pipeline):
    for picture, question in ASKED:
        events = list(remote.stream(EXAMPLES / picture, question))
        here, there = local.run(EXAMPLES / picture, question), events[-1].result
        assert (there.raw, there.status, there.targets) == (here.raw, here.status, here.targets)
        assert sum(isinstance(event, Thinking) for event in events) > 3  # word by word, not all at once


def test_two_people_at_once(local: segzero.Pipeline, remote: segzero.Pipeline):
    with ThreadPoolExecutor(2) as people:
        found = list(people.map(lambda asked: remote.run(EXAMPLES / asked[0], asked[1]).raw, ASKED[:2]))
    assert found == [local.run(EXAMPLES / picture, question).raw for picture, question in ASKED[:2]]


def test_a_question_that_is_given_up_leaves_the_server_free(remote: segzero.Pipeline):
    cancel = threading.Event()
    for event in remote.stream(EXAMPLES / ASKED[0][0], ASKED[0][1], cancel=cancel):
        if isinstance(event, Thinking):
            cancel.set()
    assert event.result.problem == "stopped"
    assert remote.run(EXAMPLES / ASKED[0][0], ASKED[0][1]).status == "ok"


def test_an_evaluation_over_it_is_that_of_this_process(address: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    items = [
        Item(str(number), question, load_picture(EXAMPLES / picture), picture, [])
        for number, (picture, question) in enumerate(ASKED)
    ]
    write_dataset(Path("data"), items)
    for out, more in (("here", []), ("there", ["--reasoner", address])):
        assert main(["evaluate", "--data", "data", "--device", "cpu", "--out", out, *more]) == 0
    here, there = (
        {record.id: record.raw for record in read_records(Path(out) / "samples.jsonl")}
        for out in ("here", "there")
    )
    assert here == there and len(here) == len(ASKED)
