"""The pipeline with models that are scripts: events, order, cancelling, errors, two people at once.

python -m pytest tests/test_pipeline.py
"""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from PIL import Image

from segzero.contract import (
    MULTI,
    Finished,
    Frame,
    Located,
    Preset,
    QuestionError,
    Segmented,
    Target,
    Thinking,
    check_question,
)
from segzero.contract.answer import SINGLE
from segzero.pictures import PictureError
from segzero.pipeline import Pipeline
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
    pipeline,
)


def test_the_events_and_the_result_of_an_answer_with_two_targets():
    asked = pipeline()
    *events, last = asked.stream(picture(), " What keeps me dry? ")
    thoughts = [event.text for event in events if isinstance(event, Thinking)]
    assert thoughts[-1] == "Rain is wet. An umbrella helps."
    assert all(later.startswith(earlier) for earlier, later in zip(thoughts, thoughts[1:], strict=False))
    assert [(e.index, e.target) for e in events if isinstance(e, Located)] == [
        (0, TARGET_ONE),
        (1, TARGET_TWO),
    ]
    segmented = [event for event in events if isinstance(event, Segmented)]
    assert [(e.index, e.target, e.score) for e in segmented] == [(0, TARGET_ONE, 0.75), (1, TARGET_TWO, 0.75)]
    assert segmented[0].mask.shape == (50, 200) and segmented[0].mask.sum() == 40 * 20

    assert isinstance(last, Finished)
    result = last.result
    assert (result.status, result.problem) == ("ok", "")
    assert result.thinking == "Rain is wet. An umbrella helps."
    assert result.raw == ANSWER and result.tokens == -(-len(ANSWER) // 8)
    assert result.targets == [TARGET_ONE, TARGET_TWO]
    assert result.masks.shape == (2, 50, 200) and result.masks.dtype == bool
    assert result.mask.shape == (50, 200) and result.mask.sum() == 40 * 20 + 100 * 50
    assert result.scores.dtype == np.float32 and result.scores.tolist() == [0.75, 0.75]
    assert (result.question, result.preset, result.image_wh) == ("What keeps me dry?", "test", WH)
    assert set(result.seconds) == {
        "picture", "first_token", "reasoning", "embedding", "segmentation", "total"
    }  # fmt: skip
    assert all(value >= 0 for value in result.seconds.values())
    assert result.seconds["total"] >= result.seconds["reasoning"] >= result.seconds["first_token"]

    (frame, prompt), = asked.reasoner.asked  # fmt: skip
    assert frame.size == (100, 100)
    assert prompt == MULTI.prompt("What keeps me dry?")


def test_run_is_the_last_event_and_takes_a_path_and_an_array(tmp_path):
    picture().save(tmp_path / "scene.png")
    for image in (str(tmp_path / "scene.png"), tmp_path / "scene.png", np.zeros((50, 200, 3), np.uint8)):
        result = pipeline().run(image, "What keeps me dry?")
        assert result.image_wh == WH and len(result.targets) == 2


def test_the_embedding_begins_at_once_on_another_thread_and_a_mask_comes_before_the_answer_ends():
    segmenter, said = Boxes(), []
    begun, masked = threading.Event(), threading.Event()
    embed, segment = segmenter.embed, segmenter.segment
    segmenter.embed = lambda image: (begun.set(), embed(image))
    segmenter.segment = lambda image, targets: (segment(image, targets), masked.set())[0]
    last_token = (len(ANSWER) - 1) // 8

    def before(token: int) -> None:
        said.append(token)
        if token == 0:
            assert begun.wait(120), "the embedding did not begin beside the reasoning"
        if token == last_token:
            assert masked.wait(120), "the first mask did not begin while tokens came"
            time.sleep(0.05)

    kinds = []
    for event in pipeline(segmenter=segmenter, before=before).stream(picture(), "What?"):
        kinds.append((type(event).__name__, getattr(event, "index", None), said[-1]))
    first_mask = next(kind for kind in kinds if kind[:2] == ("Segmented", 0))
    assert first_mask[2] <= last_token
    assert kinds.index(first_mask) < len(kinds) - 1 and kinds[-1][0] == "Finished"
    assert threading.get_ident() not in segmenter.in_thread


def test_tokens_keep_coming_while_a_mask_is_computed():
    segmenter, ended = Boxes(), threading.Event()
    segment = segmenter.segment

    def slow(image, targets):
        assert ended.wait(120), "the tokens waited for the mask"
        return segment(image, targets)

    segmenter.segment = slow
    last_token = (len(ANSWER) - 1) // 8
    result = pipeline(segmenter=segmenter, before=lambda t: t == last_token and ended.set()).run(
        picture(), "?!"
    )
    assert len(result.masks) == 2


@pytest.mark.parametrize(
    ("text", "status", "problem"),
    [
        ("<think>No umbrella here.</think><answer>[]</answer>", "no_target", False),
        ("<think>Hm.</think><answer>it is 42</answer>", "unreadable", True),
        ("", "unreadable", True),
    ],
)
def test_answers_without_a_target(text: str, status: str, problem: bool):
    result = pipeline(text).run(picture(), "What keeps me dry?")
    assert result.status == status and bool(result.problem) == problem
    assert result.targets == [] and result.raw == text
    assert result.masks.shape == (0, 50, 200) and result.masks.dtype == bool
    assert result.mask.shape == (50, 200) and not result.mask.any()
    assert result.scores.shape == (0,)


def test_an_answer_that_never_closes_keeps_its_whole_objects():
    result = pipeline(f'<think>a</think><answer>[{ONE}, {{"bbox_2d": [50, 0').run(picture(), "What?")
    assert result.status == "ok" and result.problem
    assert result.targets == [TARGET_ONE] and len(result.masks) == 1


def test_the_dialect_of_the_preset_is_used():
    single = Preset(name="single", reasoner="", segmenter="", frame=Frame(frame_px=200), dialect=SINGLE)
    text = "<think>a</think><answer>" + '{"bbox": [10,20,30,60], "points_1": [20,40], "points_2": [25,50]}'
    asked = pipeline(text + "</answer>", preset=single)
    result = asked.run(picture(), "What?")
    assert result.targets == [Target((10, 5, 30, 15), ((20, 10), (25, 12)))]
    assert asked.reasoner.asked[0][1] == SINGLE.prompt("What?")


# ------------------------------------------------------------------------------------------------ stopping


def test_cancel_keeps_what_has_a_mask():
    cancel, seen = threading.Event(), []
    text = f"<think>Rain is wet.</think><answer>[{ONE},{' ' * 80_000}{TWO}]</answer>"  # 100 s for the mask
    asked = pipeline(text, before=lambda token: time.sleep(0.01))
    for event in asked.stream(picture(), "What?", cancel=cancel):
        seen.append(event)
        if isinstance(event, Segmented):
            cancel.set()
    result = seen[-1].result
    assert (result.status, result.problem) == ("ok", "stopped")
    assert result.targets == [TARGET_ONE] and result.masks.shape == (1, 50, 200)
    assert result.raw and not result.raw.endswith("</answer>")
    assert asked.reasoner.closed


def test_cancel_before_any_target():
    cancel = threading.Event()
    cancel.set()
    result = pipeline().run(picture(), "What?", cancel=cancel)
    assert (result.status, result.problem) == ("unreadable", "stopped")
    assert result.masks.shape == (0, 50, 200) and result.raw == ""


def test_cancel_does_not_wait_for_a_slow_segmenter():
    segmenter, cancel, free = Boxes(), threading.Event(), threading.Event()
    segmenter.embed = lambda image: free.wait()
    asked = pipeline(segmenter=segmenter)

    def stop_once_it_is_said() -> None:
        while not asked.reasoner.closed:
            time.sleep(0.01)
        cancel.set()

    threading.Thread(target=stop_once_it_is_said).start()
    result = asked.run(picture(), "What?", cancel=cancel)  # or it waits for the segmenter, for ever
    free.set()
    assert (result.status, result.problem) == ("unreadable", "stopped")
    assert result.targets == [] and result.raw == ANSWER


def test_closing_the_stream_closes_the_reasoner():
    asked = pipeline()
    events = asked.stream(picture(), "What?")
    next(events)
    events.close()
    assert asked.reasoner.closed


def test_a_cancel_after_the_answer_is_whole_changes_nothing():
    cancel = threading.Event()
    text = "<think>None.</think><answer>[]</answer>"
    last = (len(text) - 1) // 8

    class Late(Script):
        def stream(self, image, prompt, *, cancel=None):
            yield from super().stream(image, prompt, cancel=threading.Event())
            cancel.set()

    result = Pipeline(Late(text), Boxes(), PRESET).run(picture(), "What?", cancel=cancel)
    assert last and (result.status, result.problem) == ("no_target", "")


# -------------------------------------------------------------------------------------------------- errors


def test_errors_of_either_model_come_up_at_the_caller():
    def fail(*args, **kwargs):
        raise RuntimeError("out of memory")

    def fail_late(token: int) -> None:
        if token == 3:
            raise RuntimeError("out of memory")

    for name in ("embed", "segment"):
        segmenter = Boxes()
        setattr(segmenter, name, fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            pipeline(segmenter=segmenter).run(picture(), "What?")
    with pytest.raises(RuntimeError, match="out of memory"):
        pipeline(before=fail_late).run(picture(), "What?")


def test_a_bad_picture_or_question_is_refused_before_anything_begins(tmp_path):
    asked = pipeline()
    with pytest.raises(QuestionError):
        asked.stream(picture(), "  \n ")
    with pytest.raises(PictureError):
        asked.stream(tmp_path / "missing.png", "What?")
    assert not asked.reasoner.asked and not asked.segmenter.embedded


@pytest.mark.parametrize("question", ["", " ", "...", "\n\t", "x" * 2001, "x" * 10_000, None, 7])
def test_questions_that_cannot_be_asked(question):
    with pytest.raises(QuestionError) as caught:
        check_question(question)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("question", "checked"),
    [
        (" a ", "a"),
        ("x" * 2000, "x" * 2000),
        ("two\nlines", "two\nlines"),
        ("half \ud800 pair", "half ? pair"),
    ],
)
def test_questions_that_can(question: str, checked: str):
    assert check_question(question) == checked


def test_two_people_at_once_get_their_own_answers():
    """Two pictures of different sizes, asked at the same time, many times over, through one pipeline."""

    class Echo:
        def stream(self, image, prompt, *, cancel=None):
            level = image.getpixel((0, 0))[0]
            box = [0, 0, level, 100]
            for piece in (
                "<think>",
                str(level),
                "</think><answer>[",
                f'{{"bbox_2d": {box}, "point_2d": [1, 1]}}',
            ):
                time.sleep(0.001)
                yield piece
            yield "]</answer>"

    shared = Pipeline(Echo(), Boxes(), PRESET)
    wrong = []

    def ask(level: int, wh: tuple[int, int]) -> None:
        for _ in range(20):
            result = shared.run(Image.new("RGB", wh, (level, 0, 0)), "What?")
            right = result.thinking == str(level) and result.masks.shape == (1, wh[1], wh[0])
            if not right or result.mask.sum() != wh[1] * (level * wh[0] // 100):
                wrong.append(result)

    people = [threading.Thread(target=ask, args=args) for args in ((20, (200, 50)), (60, (50, 120)))]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert not wrong
