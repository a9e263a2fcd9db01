"""One question answered several times: python -m pytest tests/voting/test_voted_run.py"""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from segzero.__main__ import main
from segzero.cli import ask as command
from segzero.contract import MULTI
from segzero.pictures import from_json, summary, to_json
from segzero.pipeline import Pipeline
from segzero.reasoner import TEMPERATURE, Reasoner
from segzero.segmenter import Segmenter, SegmenterError
from tests.shared.scripted import (
    ANSWER,
    ONE,
    PRESET,
    TARGET_ONE,
    TARGET_TWO,
    TWO,
    WH,
    Boxes,
    Script,
    picture,
)
from tests.shared.tiny import mini_segmenter, save_tiny_reasoner

JUST_ONE = f"<think>Only the first.</think><answer>[{ONE}]</answer>"
SWAPPED = f"<think>The other way round.</think><answer>[{TWO}, {ONE}]</answer>"
NONE = "<think>Nothing is.</think><answer>[]</answer>"
BABBLE = "I do not know."


class Says(Script):
    """Answers in turn with these texts, last first; after(count) is called behind each."""

    def __init__(self, *texts: str, after=lambda count: None) -> None:
        super().__init__(texts[0])
        self.texts, self.after, self.requests, self.at_once = texts, after, [], 0

    def answer_all(self, requests, at_once, *, cancel=None):
        self.requests, self.at_once = list(requests), at_once
        for count, request in enumerate(reversed(self.requests), start=1):
            if cancel.is_set():
                return
            yield request.key, self.texts[request.key[1]]
            self.after(count)


class Scores(Boxes):
    """Scores each call a little better than the last; refuses `refused` targets."""

    refused = 0

    def segment(self, image, targets, *, clicks=None):
        if len(targets) == self.refused:
            raise SegmenterError("The box lies beside the picture.")
        found = super().segment(image, targets, clicks=clicks)
        found.scores[:] = 0.5 + len(self.clicks) / 100
        return found


def run(*texts: str, segmenter=None, cancel=None, **more):
    asked = Pipeline(Says(*texts, **more), segmenter or Scores(), PRESET)
    return asked.run(picture(), " What keeps me dry? ", samples=len(texts), cancel=cancel), asked


def test_what_most_answers_show_is_found_and_they_agree_by_so_much():
    result, asked = run(ANSWER, JUST_ONE, SWAPPED)
    assert (result.status, result.problem, result.question) == ("ok", "", "What keeps me dry?")
    assert result.targets == [TARGET_ONE, TARGET_TWO]  # three answers show the first, two the second
    assert result.scores == pytest.approx([0.53, 0.53])  # of the last answer, the best
    assert result.masks.shape == (2, 50, 200) and result.mask.sum() == 40 * 20 + 100 * 50
    assert result.confidence == pytest.approx((2 * 800 / 5800 + 1) / 3)
    assert (result.raw, result.thinking) == (ANSWER, "Rain is wet. An umbrella helps.")  # the nearest
    assert set(result.seconds) == set(Pipeline(Script(ANSWER), Boxes(), PRESET).run(picture(), "?!").seconds)
    assert asked.segmenter.embedded == [WH] and result.image_wh == WH and result.picture is not None


def test_the_first_answer_is_greedy_and_all_are_asked_at_once():
    _, asked = run(ANSWER, ANSWER, ANSWER)
    first, *drawn = asked.reasoner.requests
    assert first.temperature == 0 and [each.temperature for each in drawn] == [TEMPERATURE] * 2
    assert len({each.seed for each in drawn}) == 2 and asked.reasoner.at_once == 3
    assert {each.prompt for each in (first, *drawn)} == {MULTI.prompt("What keeps me dry?")}
    _, again = run(ANSWER, ANSWER, ANSWER)
    assert [each.seed for each in again.reasoner.requests] == [each.seed for each in asked.reasoner.requests]


def test_half_the_answers_say_nothing():
    result, _ = run(ANSWER, NONE)
    assert (result.status, result.raw, result.confidence) == ("no_target", NONE, 0.0)
    assert result.targets == [] and result.masks.shape == (0, 50, 200)


def test_answers_that_failed_have_no_vote_but_lower_the_confidence():
    result, _ = run(BABBLE, JUST_ONE, JUST_ONE, BABBLE)
    assert (result.status, result.targets) == ("ok", [TARGET_ONE])
    assert result.confidence == pytest.approx(2 / 12)
    nothing, _ = run(BABBLE, BABBLE)
    assert (nothing.status, nothing.raw, nothing.confidence) == ("unreadable", BABBLE, 0.0)
    assert nothing.problem and nothing.masks.shape == (0, 50, 200)


def test_a_refused_answer_is_one_that_failed_until_no_other_is_left():
    segmenter = Scores()
    segmenter.refused = 2
    result, _ = run(ANSWER, JUST_ONE, segmenter=segmenter)
    assert (result.status, result.targets, result.confidence) == ("ok", [TARGET_ONE], 0.0)
    with pytest.raises(SegmenterError, match="beside"):
        run(ANSWER, ANSWER, segmenter=segmenter)


def test_cancelled_those_vote_that_have_ended():
    cancel = threading.Event()
    result, _ = run(ANSWER, ANSWER, JUST_ONE, cancel=cancel, after=lambda count: cancel.set())
    assert (result.problem, result.status, result.targets) == ("stopped", "ok", [TARGET_ONE])
    result, _ = run(ANSWER, ANSWER, cancel=cancel)
    assert (result.problem, result.status, result.raw) == ("stopped", "unreadable", "")


def test_one_answer_is_as_ever_and_none_cannot_be_asked_for():
    pipeline = Pipeline(Script(ANSWER), Boxes(), PRESET)
    assert pipeline.run(picture(), "What?", samples=1).confidence is None
    with pytest.raises(ValueError, match="1 or more"):
        pipeline.run(picture(), "What?", samples=0)


def test_the_confidence_is_saved_and_told():
    result, _ = run(ANSWER, ANSWER)
    record = json.loads(json.dumps(to_json(result)))
    assert record["confidence"] == 1.0 and from_json(record).confidence == 1.0
    assert summary(result).startswith("2 objects · ") and summary(result).endswith(" s · agreement 1.00")
    del record["confidence"]  # as a result of one answer is saved
    assert from_json(record).confidence is None and "confidence" not in to_json(from_json(record))
    for wrong in (True, "1", 1.5, -0.1, [], float("nan")):
        with pytest.raises(ValueError, match="is no number from 0 to 1"):
            from_json({**record, "confidence": wrong})


def test_the_command_line_asks_several_times(tmp_path: Path, monkeypatch, capsys):
    pipeline = Pipeline(Says(ANSWER, JUST_ONE, ANSWER), Scores(), PRESET)
    monkeypatch.setattr(command, "load_pipeline", lambda args: pipeline)
    picture().save(tmp_path / "a.png")
    out = tmp_path / "a.json"
    assert main(["ask", str(tmp_path / "a.png"), "What?", "--samples", "3", "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Rain is wet. An umbrella helps.\n") and "agreement 0.43" in said
    assert json.loads(out.read_text())["confidence"] == pytest.approx((2 * 800 / 5800 + 1) / 3)
    with pytest.raises(SystemExit):
        main(["ask", str(tmp_path / "a.png"), "What?", "--samples", "0"])


def test_the_real_models_answer_together(tmp_path: Path):
    reasoner = Reasoner.load(save_tiny_reasoner(tmp_path), device="cpu", max_new_tokens=200)
    pipeline = Pipeline(reasoner, Segmenter(mini_segmenter()), PRESET)
    plain = pipeline.run(picture(), "What?")
    several = pipeline.run(picture(), "What?", samples=3)
    assert several.status == plain.status == "unreadable" and several.raw == plain.raw  # the greedy one
    again = pipeline.run(picture(), "What?", samples=3)
    assert (again.raw, again.confidence) == (several.raw, several.confidence) == (plain.raw, 0.0)
