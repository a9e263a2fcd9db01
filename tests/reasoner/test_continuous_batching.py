"""Rows that come and go say what they say alone.

python -m pytest tests/reasoner/test_continuous_batching.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import DynamicCache

from segzero.contract import MULTI
from segzero.reasoner import Reasoner, Request
from segzero.reasoner.decoding import RowText
from segzero.reasoner.kv_cache import ROOM, KVCache
from tests.shared.tiny import save_tiny_reasoner, script

TOKENS = 10


def frame(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (56, 56, 3), dtype=np.uint8)
    return Image.fromarray(noise)


FRAMES = [frame(0), frame(1)]
PROMPTS = [
    MULTI.prompt(text) for text in ("dog", "the red umbrella on the left of the dog", "what?", "rain", "i")
]
ASKS = [Request(number, FRAMES[number % 2], prompt) for number, prompt in enumerate(PROMPTS)]


@pytest.fixture(scope="module")
def reasoner(tmp_path_factory: pytest.TempPathFactory) -> Reasoner:
    folder = save_tiny_reasoner(tmp_path_factory.mktemp("tiny"))
    return Reasoner.load(folder, device="cpu", max_new_tokens=TOKENS)


def test_rows_that_end_at_different_times_say_what_they_say_alone(reasoner: Reasoner, monkeypatch):
    """With a token that ends some early, so that questions join while others are being answered."""
    alone = {request.key: ids_alone(reasoner, request) for request in ASKS}
    end = next(token for token in alone[1][2:5] if token not in alone[0][:3])
    settings = reasoner.model.generation_config
    monkeypatch.setattr(settings, "eos_token_id", [*settings.eos_token_id, end])
    cut = {key: ids[: ids.index(end) + 1] if end in ids else ids for key, ids in alone.items()}
    assert len({len(ids) for ids in cut.values()}) > 1, "all end at once: this tests nothing"
    decode = reasoner.encoder.processor.tokenizer.decode
    expected = {key: decode(ids, skip_special_tokens=True).rstrip("\ufffd") for key, ids in cut.items()}
    for rows in (1, 2, 16):
        assert dict(reasoner.answer_all(iter(ASKS), rows)) == expected, rows


def ids_alone(reasoner: Reasoner, request: Request) -> list[int]:
    inputs = reasoner.encoder([request.frame], [request.prompt])
    ids = reasoner.model.generate(**inputs, do_sample=False, max_new_tokens=TOKENS)
    return ids[0, inputs["input_ids"].shape[1] :].tolist()


def test_a_drawn_answer_depends_on_its_seed_and_on_nothing_beside_it(reasoner: Reasoner):
    state = torch.get_rng_state()
    requests = [Request((n, seed), FRAMES[n], PROMPTS[n], 1.0, seed) for n in (0, 1) for seed in (1, 2, 3)]
    together = dict(reasoner.answer_all(requests, 6))
    assert len(set(together.values())) > 3
    assert dict(reasoner.answer_all(requests[::-1], 2)) == together
    assert torch.equal(torch.get_rng_state(), state)
    cold = dict(
        reasoner.answer_all(
            [Request("cold", FRAMES[0], PROMPTS[0], 1e-6), Request("greedy", FRAMES[0], PROMPTS[0])], 2
        )
    )
    assert cold["cold"] == cold["greedy"]


def test_a_picture_is_read_once_for_all_questions_that_follow_each_other(reasoner: Reasoner):
    requests = [Request((n, i), FRAMES[n], prompt) for n in (0, 1) for i, prompt in enumerate(PROMPTS)]
    alone = {request.key: reasoner.generate([request.frame], [request.prompt])[0] for request in requests}
    seen = []
    hook = reasoner.model.model.visual.register_forward_hook(
        lambda module, args, out: seen.append(len(args[0]))
    )
    for rows, reads in ((1, [16, 16]), (3, [16, 16]), (16, [32])):
        assert dict(reasoner.answer_all(requests, rows)) == alone
        assert seen == reads, rows
        seen.clear()
    hook.remove()


def test_equal_questions_are_read_once(reasoner: Reasoner):
    seen = []
    hook = reasoner.model.model.visual.register_forward_hook(
        lambda module, args, out: seen.append(len(args[0]))
    )
    list(reasoner.answer_all([Request(seed, FRAMES[0], PROMPTS[0], 1.0, seed) for seed in range(4)], 4))
    hook.remove()
    assert seen == [16]  # the patches of one picture


def test_it_stops_at_the_tag_and_when_its_reader_leaves(tmp_path: Path):
    reasoner = Reasoner.load(save_tiny_reasoner(tmp_path), device="cpu", max_new_tokens=500)
    said = script(reasoner, "<answer>[]</answer> and on")
    assert list(reasoner.answer_all([Request(1, FRAMES[0], "What?")], 4)) == [(1, "<answer>[]</answer>")]
    said.ids, said._at = said.ids[:1] * 400, 0
    reading = reasoner.answer_all([Request(1, FRAMES[0], "What?")], 4)
    reading.close()
    assert "".join(reasoner.stream(FRAMES[0], "What?")) != ""  # the thread is free again


def test_an_error_in_the_questions_comes_up_at_the_reader(reasoner: Reasoner):
    def requests():
        yield ASKS[0]
        raise OSError("no such picture")

    with pytest.raises(OSError, match="no such picture"):
        list(reasoner.answer_all(requests(), 1))


def test_no_questions_no_answers(reasoner: Reasoner):
    assert list(reasoner.answer_all([], 4)) == []


def test_the_text_of_a_row_ends_with_the_tag(reasoner: Reasoner):
    tokenizer = reasoner.encoder.processor.tokenizer
    row = RowText(tokenizer.backend_tokenizer)
    text = "".join(row.take(token) for token in tokenizer.encode("ä</answer>]] more"))
    assert (text, row.done) == ("ä</answer>", True)


def cache_of(*rows: list[int]) -> DynamicCache:
    """One layer, one head, keys of one number, which are the rows' numbers; values are their negatives."""
    cache = DynamicCache()
    keys = torch.tensor(rows, dtype=torch.float32)[:, None, :, None]  # (B, 1, T, 1)
    cache.update(keys, -keys, 0)
    return cache


def own(*rows: str) -> torch.Tensor:
    """Which columns are tokens, # for one."""
    return torch.tensor([[char == "#" for char in row] for row in rows])


def test_rows_of_a_cache_stay_right_aligned():
    rows = KVCache()
    rows.change([], cache_of([0, 1, 2], [3, 4, 5]), [0, 1, 1], own("#.#", "###"))
    assert shown(rows) == [[0, 1, 2], [3, 4, 5], [3, 4, 5]]
    assert rows.mask().tolist() == [[1, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
    step = torch.tensor([6.0, 7.0, 8.0])[:, None, None, None]
    rows.cache.update(step, -step, 0)
    rows.change([0, 2], cache_of([9, 10]), [0], own("##"))
    assert shown(rows) == [[0, 1, 2, 6], [3, 4, 5, 8], [0, 0, 9, 10]]
    assert rows.mask().tolist() == [[1, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 1, 1, 1]]
    rows.change([2])  # columns that only rows now gone have used go with them
    assert shown(rows) == [[9, 10]] and rows.mask().tolist() == [[1, 1, 1]]
    rows.change([])
    assert rows.width == 0


def test_a_long_prompt_moves_the_short_rows_to_the_right():
    rows = KVCache()
    rows.change([], cache_of([1, 2]), [0], own("##"))
    rows.change([0], cache_of([3, 4, 5, 6]), [0], own("##.#"))
    assert shown(rows) == [[0, 0, 1, 2], [3, 4, 5, 6]]
    assert rows.mask().tolist() == [[0, 0, 1, 1, 1], [1, 1, 0, 1, 1]]


def test_a_cache_grows_beyond_its_room():
    rows = KVCache()
    rows.change([], cache_of([1, 2]), [0], own("##"))
    for number in range(3, ROOM + 10):
        rows.cache.update(
            torch.full((1, 1, 1, 1), float(number)), torch.full((1, 1, 1, 1), -float(number)), 0
        )
    assert shown(rows) == [list(range(1, ROOM + 10))]


def shown(rows: KVCache) -> list[list[int]]:
    layer = rows.cache.layers[0]
    assert torch.equal(layer.values, -layer.keys)
    return layer.keys[:, 0, :, 0].int().tolist()
