"""What a visitor does after an answer: correct, undo, save, look inside, go back; without a browser.

python -m pytest tests/page/test_visit.py
"""

from __future__ import annotations

import threading
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

import app
from page.corrections import Corrections
from page.inspector import inspect
from page.listeners import Listeners
from page.look import about
from page.pixels import Pixels
from page.stage import mask_uri
from page.uploads import Uploads
from page.visit import Visit
from segzero.contract import MINI, Segmented, Thinking
from segzero.data import load_sample, read_samples
from segzero.hub import ModelError
from tests.shared.fakes import FakePipeline, after
from tests.shared.scripted import ONE, TARGET_ONE, pipeline
from tests.shared.scripted import picture as scripted_picture
from tests.shared.serving import eventually, patient


@pytest.fixture
def photo(tmp_path: Path) -> str:
    Image.new("RGB", (40, 60), "teal").save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


@pytest.fixture
def on(tmp_path: Path) -> Listeners:
    kept = Corrections(tmp_path / "kept")
    return Listeners(FakePipeline(), [], str(tmp_path / "cache"), Pixels(Uploads(tmp_path)), kept)


def ask(on: Listeners, source: str, question: str, visit: Visit | None = None) -> Visit:
    visit = on.begin(source, question, visit or Visit())[0]
    for _ in on.answer(visit):
        pass
    return visit


def wish(**data: object) -> gr.EventData:
    return gr.EventData(None, data)


def test_a_new_box_gives_a_new_mask(on: Listeners, photo: str):
    visit = ask(on, photo, "What is left and right?")
    view = on.correct(wish(number=1, box=[5, 10, 15, 30]), visit)
    assert visit.result.masks[0].sum() == 10 * 20 and visit.result.masks[1].sum() == 20 * 60
    assert view.objects[0].box == (5.0, 10.0, 15.0, 30.0) and view.undoable
    assert view.status == "Object 1 corrected in 0.05 s"


def test_undo_takes_back_one_correction_after_the_other(on: Listeners, photo: str):
    visit = ask(on, photo, "What is left and right?")
    start = visit.result
    on.correct(wish(number=1, box=[5, 10, 15, 30]), visit)
    on.correct(wish(number=2, x=3, y=3, add=True), visit)
    view = on.undo(visit)
    assert view.undoable and view.objects[1].clicks == () and view.objects[0].box == (5, 10, 15, 30)
    assert (visit.result.masks[1] == start.masks[1]).all()
    view = on.undo(visit)
    assert not view.undoable and view.objects[0].box == (0, 0, 20, 60)
    assert (visit.result.masks == start.masks).all() and visit.result.targets == start.targets
    assert visit.result.scores.tolist() == start.scores.tolist()
    assert on.undo(visit) is view  # nothing is left to undo


def test_what_cannot_be_corrected_is_said_on_the_stage(on: Listeners, photo: str):
    def refuse(*arguments, **change):
        raise ValueError("The box has no area.")

    visit = ask(on, photo, "What is left?")
    on._pipeline.refine = refuse
    view = on.correct(wish(number=1, box=[1, 1, 1, 1]), visit)
    assert (view.status, view.tone, view.undoable) == ("The box has no area.", "bad", False)


def test_a_correction_is_saved_where_the_page_says(on: Listeners, photo: str, tmp_path: Path):
    visit = ask(on, photo, "What is left?")
    on.correct(wish(number=1, box=[5, 10, 15, 30]), visit)
    view = on.save(visit)
    assert view.status == f"Saved: 1 question in {tmp_path / 'kept'}"
    ((sample,), refused) = read_samples(tmp_path / "kept")
    assert not refused and sample.question == "What is left?" and load_sample(sample).truth.sum() == 200


def test_where_nothing_may_be_saved_nothing_is(photo: str, tmp_path: Path):
    on = Listeners(FakePipeline(), [], str(tmp_path / "cache"), Pixels(Uploads(tmp_path)))
    visit = ask(on, photo, "What is left?")
    assert on.save(visit).status == "1 object"


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ([], Path("runs/corrections")),
        (["--share"], None),
        (["--host", "0.0.0.0"], None),
        (["--host", "0.0.0.0", "--corrections", "mine"], Path("mine")),
    ],
)
def test_only_this_machine_saves_corrections_unasked(given, folder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    assert app.corrections_folder(app.arguments(given)) == folder


def test_an_earlier_answer_comes_back_with_its_corrections(on: Listeners, photo: str, tmp_path: Path):
    Image.new("RGB", (30, 10), "red").save(tmp_path / "other.png")
    visit = ask(on, photo, "What is left?")
    on.correct(wish(number=1, box=[5, 10, 15, 30]), visit)
    visit = on.another(visit)[0]
    visit = ask(on, str(tmp_path / "other.png"), "What is right?", visit)
    assert (visit.view.number, visit.view.count, visit.view.wh) == (2, 2, (30, 10))

    *_, view, chat, _ = on.recall(wish(number=1), visit)
    assert (view.number, view.count, view.wh) == (1, 2, (40, 60)) and not view.undoable
    assert visit.result.masks[0].sum() == 200
    assert view.objects[0].box == (5, 10, 15, 30) and chat == visit.chat
    on.correct(wish(number=1, x=30, y=5, add=True), visit)  # it can be corrected further
    assert visit.result.masks[0].sum() == 200 + 20 * 60  # columns 20 to 40 of 40

    visit = ask(on, "not looked at", "What is right?", visit)  # and asked about further
    assert (visit.view.wh, visit.view.number) == ((40, 60), 3)
    on.recall(wish(number=1), visit)
    assert visit.result.masks[0].sum() == 200 + 20 * 60


def test_a_click_in_the_conversation_shows_that_answer(on: Listeners, photo: str):
    visit = ask(on, photo, "What is left?")
    visit = ask(on, photo, "What is right?", visit)
    starts = [index for index, message in enumerate(visit.chat) if message["role"] == "user"]
    assert [visit.turn_at(index) for index in (starts[0], starts[1] - 1, starts[1])] == [0, 0, 1]
    clicked = gr.SelectData(None, {"index": starts[1] - 1, "value": ""})
    assert on.pick(clicked, visit)[3].objects[0].box == (0, 0, 20, 60)


def test_an_answer_whose_picture_is_gone_stays_away(on: Listeners, photo: str, tmp_path: Path):
    Image.new("RGB", (30, 10), "red").save(tmp_path / "other.png")
    visit = on.another(ask(on, photo, "What is left?"))[0]
    visit = ask(on, str(tmp_path / "other.png"), "What is right?", visit)
    Path(photo).unlink()
    on.recall(wish(number=1), visit)
    assert visit.view.number == 2 and visit.result.image_wh == (30, 10)


def test_the_stage_s_copy_is_made_again_when_it_was_swept_away(on: Listeners, photo: str):
    visit = ask(on, photo, "What is left?")
    Path(visit.view.path).unlink()
    visit = ask(on, photo, "What is right?", visit)
    assert Image.open(visit.view.path).size == (40, 60)
    Path(visit.view.path).unlink()
    on.recall(wish(number=1), visit)
    assert visit.view.number == 1 and Image.open(visit.view.path).size == (40, 60)


def test_stop_leaves_a_result_that_can_be_corrected(tmp_path: Path, photo: str):
    pipeline = FakePipeline()
    pipeline.holds = after(Segmented, 1)
    on = Listeners(pipeline, [], str(tmp_path), Pixels(Uploads(tmp_path)))
    visit = on.begin(photo, "Which tenths?", Visit())[0]
    reader = threading.Thread(target=lambda: list(on.answer(visit)))
    reader.start()
    eventually(lambda: len(visit.view.objects), 2)
    with patient():
        on.stop(visit)
    assert not visit.answering
    reader.join()
    assert len(visit.result.targets) == 2 and visit.view.status == "Stopped · 2 objects"  # not one more
    assert on.correct(wish(number=1, x=30, y=5, add=True), visit).undoable


def test_stop_does_not_wait_for_a_model_that_hangs(on: Listeners, photo: str, monkeypatch):
    hanging, free = threading.Event(), threading.Event()

    def hang(image, question, *, cancel):
        yield Thinking("Hm.")
        hanging.set()
        free.wait()

    monkeypatch.setattr(on._pipeline, "stream", hang)
    visit = on.begin(photo, "Which tenths?", Visit())[0]
    reader = threading.Thread(target=lambda: list(on.answer(visit)))
    reader.start()
    hanging.wait()
    on.stop(visit)
    assert visit.answering
    assert on.settle(visit)[1].status == "Stopped."
    free.set()
    reader.join()


def test_the_inspector_tells_both_frames_and_all_masks():
    class Considering:
        def candidates(self, image, target, clicks=()):
            assert target == TARGET_ONE
            return np.stack([np.eye(50, 200, k=shift, dtype=bool) for shift in (0, 9)]), np.array([0.9, 0.4])

    asked = pipeline(f"<think>Hm.</think><answer>[{ONE}]</answer>")
    result = asked.run(scripted_picture(), "What?")
    asked.segmenter.candidates = Considering().candidates
    found = inspect(asked, result, 0)
    assert found["raw"] == result.raw and (found["frame"], found["picture"]) == ("100 × 100", "200 × 50")
    (row,) = found["objects"]
    assert row["written"].split("  ·  ") == ["10, 20, 30, 60", "(20, 40)"]
    assert row["target"].split("  ·  ") == ["20, 10, 60, 30", "(40, 20)"]
    assert [each["score"] for each in found["candidates"]] == ["0.90", "0.40"]
    assert found["window"] == (6, 3, 75, 38)  # 20, 10, 60, 30 with 14 and 7 pixels more at each side
    assert inspect(asked, result, 5)["candidates"] == []


def test_a_model_that_fails_to_show_more_says_so(on: Listeners, photo: str):
    def refuse(*arguments):
        raise ModelError("The GPU is lent to somebody else.")

    visit = ask(on, photo, "What is left?")
    assert on.inspect(wish(number=1), visit).inspection["number"] == 1
    on._pipeline.candidates = refuse
    assert on.inspect(wish(number=1), visit).status == "The GPU is lent to somebody else."


def test_a_large_mask_is_reduced_by_its_centres():
    mask = np.zeros((3, 6), bool)
    mask[1, [1, 4]] = True
    assert mask_uri(mask, (2, 1)) == mask_uri(np.ones((1, 2), bool), (2, 1))
    assert mask_uri(~mask, (2, 1)) == mask_uri(np.zeros((1, 2), bool), (2, 1))


def test_what_the_models_in_use_can_do_is_told_of_the_presets_own_only():
    from dataclasses import replace

    assert about(MINI) == MINI.about
    changed = replace(MINI, reasoner="runs/grpo/model", segmenter="sam-vit-b")
    assert about(changed) == "With another reasoner: runs/grpo/model, segmenter: sam-vit-b."
