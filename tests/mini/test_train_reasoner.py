"""The mini reasoner's trainer: steps, stops, resumes, starts from weights and works in a team of processes.

python -m pytest tests/mini/test_train_reasoner.py
"""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections import Counter
from pathlib import Path

import pytest
import torch
from transformers import AutoProcessor

from segzero.contract import MINI, preset_for_folder
from train.mini.bundle import write_reasoner
from train.mini.check_seeing import most_missed
from train.mini.learning.together import Team
from train.mini.train_reasoner import Plan, Run, stream

WEIGHTS = Path(__file__).resolve().parents[2] / "assets" / "mini" / "reasoner"


@pytest.fixture(scope="module")
def processor():
    return AutoProcessor.from_pretrained(WEIGHTS)


def new_run(processor, team: Team | None = None) -> Run:
    return Run(processor, Plan(minutes=1, see=0.5, listen=0, pictures=1, questions=2, rate=1e-4), 3, team)


def test_a_run_starts_from_weights_and_resumes_with_the_same_steps(processor, tmp_path):
    run = new_run(processor)
    run.begin(WEIGHTS)
    begun = {name: value.clone() for name, value in run.averaged.state_dict().items()}
    seeing = stream(run, workers=0)
    assert set(run.train_step(next(seeing))) == {"dense"}
    run.seconds = 45.0
    answering = stream(run, workers=0)
    assert set(run.train_step(next(answering), 1.5)) == {"dense", "token", "look"}
    assert run.step == 2 and run.seconds == 46.5
    run.save(tmp_path)
    again = new_run(processor)
    again.resume(tmp_path)
    assert (again.step, again.seconds, again.stage) == (2, 46.5, "answer")
    batch = next(answering)
    assert again.train_step(batch) == run.train_step(batch)
    moved = [name for name, value in run.averaged.state_dict().items() if not torch.equal(value, begun[name])]
    assert any("visual" in name for name in moved) and any("language_model" in name for name in moved)
    assert AutoProcessor.from_pretrained(tmp_path / "model").tokenizer.get_vocab()


def test_what_is_missed_most_is_named():
    shown, known = Counter({1: 10, 2: 8, 3: 5}), Counter({1: 10, 2: 2, 3: 3})
    assert (
        most_missed(shown, known, ["cup", "saw", "tent"]) == "100% of what is missed: saw 6 of 8, tent 2 of 5"
    )
    assert most_missed(shown, shown, ["cup", "saw", "tent"]) == "nothing is missed"


def test_every_weight_is_trained_by_one_optimizer(processor):
    run = new_run(processor)
    shares = [[id(p) for group in o.param_groups for p in group["params"]] for o in run.optimizers]
    assert sorted(sum(shares, [])) == sorted(map(id, run.trained))
    by_muon = {name for name, p in run.model.named_parameters() if id(p) in shares[0]}
    assert "model.visual.blocks.0.attn.qkv.weight" in by_muon
    assert not any("embed" in name or "norm" in name for name in by_muon)


def test_alone_nothing_is_averaged():
    value = torch.tensor([1.0, 2.0])
    assert Team().mean([value], 0.25) == 0.25 and value.tolist() == [1.0, 2.0]


def _average(rank: int, port: int, answers) -> None:
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    team = Team.join()
    values = [torch.full((2, 2), float(rank)), torch.tensor([4.0 * rank])]
    seconds = team.mean(values, 1.0 + rank)
    answers.put((team.rank, team.size, [value.tolist() for value in values], seconds))
    team.leave()


def test_two_processes_share_their_gradients_and_their_clock():
    with socket.create_server(("127.0.0.1", 0)) as server:
        free_port = server.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = [context.Process(target=_average, args=(rank, free_port, answers)) for rank in (0, 1)]
    for process in processes:
        process.start()
    found = sorted(answers.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(timeout=60)
    mean = [[[0.5, 0.5], [0.5, 0.5]], [2.0]]
    assert found == [(0, 2, mean, 1.5), (1, 2, mean, 1.5)]


def test_what_is_bundled_is_rounded_and_what_is_trained_on_is_not(processor, tmp_path):
    from transformers import AutoModelForImageTextToText

    run = new_run(processor)
    run.export(tmp_path / "trained")
    run.export(tmp_path / "bundled")  # in two files, which must not stay
    write_reasoner(run.averaged, processor, tmp_path / "bundled")
    assert [path.name for path in (tmp_path / "bundled").glob("model*")] == ["model.safetensors"]
    assert run.averaged.dtype == torch.float32
    bundled = tmp_path / "bundled" / "model.safetensors"
    assert bundled.stat().st_size < 9e6
    assert preset_for_folder(tmp_path / "bundled", MINI).frame == MINI.frame
    opened = {
        name: AutoModelForImageTextToText.from_pretrained(tmp_path / name, dtype=torch.float32).state_dict()
        for name in ("trained", "bundled")
    }
    for name, value in run.averaged.state_dict().items():
        torch.testing.assert_close(opened["trained"][name], value, rtol=2**-8, atol=0)
        rounding = {"rtol": 2**-4, "atol": 2**-10} if value.ndim > 1 else {"rtol": 2**-8, "atol": 0}
        torch.testing.assert_close(opened["bundled"][name], value, **rounding)
