"""Every family of models says, in any batch and any way, what transformers' plain generate says.

python -m pytest tests/reasoner/test_fast_paths.py
"""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from PIL import Image

from segzero.contract import MULTI
from segzero.reasoner import Reasoner, Request
from segzero.reasoner.prefix_cache import can_reuse
from segzero.reasoner.prompt_encoding import chat_messages
from tests.shared.tiny import FAMILIES, save_tiny_reasoner, tiny_model, tiny_processor

TOKENS = 12
FAST = {"qwen2_5_vl": True, "qwen3_vl": True, "qwen3_5": False}
PROMPTS = [MULTI.prompt(text) for text in ("dog", "the red umbrella on the left of the dog", "what?")]


def frame(seed: int, width: int, height: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


class Case:
    """A tiny model, questions about pictures of several shapes, and what plain generate says to each."""

    def __init__(self, family: str, folder) -> None:
        self.family = family
        self.reasoner = Reasoner.load(save_tiny_reasoner(folder, family), device="cpu", max_new_tokens=TOKENS)
        px = 28 if family == "qwen2_5_vl" else 32  # of a token
        self.frames = [frame(0, 2 * px, 3 * px), frame(1, 5 * px, px), frame(2, 2 * px, 2 * px)]
        self.requests = [
            Request((n, number), each, prompt)
            for n, each in enumerate([*self.frames, frame(3, 2 * px, 3 * px)])
            for number, prompt in enumerate(PROMPTS)
        ]
        self.plain = {request.key: self._plain(request) for request in self.requests}

    def _plain(self, request: Request) -> str:
        """By transformers' own processor, template and generate, one at a time."""
        processor, image = self.reasoner.encoder.processor, request.frame
        messages = chat_messages(request.prompt)
        text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        size = dict.fromkeys(("shortest_edge", "longest_edge"), image.width * image.height)
        inputs = processor(text=[text], images=[image], return_tensors="pt", size=size)
        greedy = {"do_sample": False, "temperature": None, "top_k": None}
        output = self.reasoner.model.generate(**inputs, **greedy, max_new_tokens=TOKENS)
        new = output[0, inputs["input_ids"].shape[1] :]
        return processor.tokenizer.decode(new, skip_special_tokens=True).rstrip("\ufffd")


@pytest.fixture(scope="module", params=FAMILIES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(request.param, tmp_path_factory.mktemp(request.param))


def test_the_tiny_models_see_and_read(case: Case):
    assert case.reasoner.model.dtype == torch.float32
    assert len({case.plain[n, 0] for n in range(4)}) > 2, "the picture does not matter: this tests nothing"
    assert len({case.plain[0, number] for number in range(3)}) == 3, "nor does the question"


@pytest.mark.parametrize("rows", [1, 3, 16])
def test_batches_of_any_size_say_what_plain_generate_says(case: Case, rows: int):
    assert dict(case.reasoner.answer_all(iter(case.requests), rows)) == case.plain
    mixed = case.requests[::2] + case.requests[1::2][::-1]  # so that neighbours differ in picture and shape
    assert dict(case.reasoner.answer_all(iter(mixed), rows)) == case.plain


def test_streaming_says_what_plain_generate_says(case: Case):
    mixed = case.requests[::2] + case.requests[1::2]
    texts = {each.key: "".join(case.reasoner.stream(each.frame, each.prompt)) for each in mixed}
    assert texts == case.plain


def test_a_static_cache_says_it_too(case: Case):
    model, processor = case.reasoner.model, case.reasoner.encoder.processor
    static = Reasoner(model, processor, max_new_tokens=TOKENS, static=True)
    some = case.requests[::2]
    texts = {each.key: "".join(static.stream(each.frame, each.prompt)) for each in some}
    assert texts == {each.key: case.plain[each.key] for each in some}


def test_one_batch_of_generate_says_it_too(case: Case):
    frames, prompts = zip(*((each.frame, each.prompt) for each in case.requests), strict=True)
    assert case.reasoner.generate(frames, prompts) == list(case.plain.values())


def test_a_drawn_answer_is_the_same_whatever_is_beside_it(case: Case):
    state = torch.get_rng_state()
    drawn = [
        Request((each.key, seed), each.frame, each.prompt, 1.0, seed)
        for each in case.requests
        for seed in (1, 2)
    ]
    greedy = [Request((each.key, 0), each.frame, each.prompt) for each in case.requests]
    alone = dict(case.reasoner.answer_all(drawn, 1))
    assert len(set(alone.values())) > 6
    assert dict(case.reasoner.answer_all(drawn[::-1], 3)) == alone
    mixed = [each for pair in zip(drawn, greedy * 2, strict=True) for each in pair]
    together = dict(case.reasoner.answer_all(mixed, 16))
    assert {key: text for key, text in together.items() if key[1]} == alone
    assert {key[0]: text for key, text in together.items() if not key[1]} == case.plain
    assert torch.equal(torch.get_rng_state(), state)


def test_a_picture_is_read_once_where_the_model_allows_it(case: Case):
    """And no more of its features than there are: DeepStack's go in with it."""
    seen = []
    hook = case.reasoner.model.model.visual.register_forward_hook(lambda *args: seen.append(1))
    list(case.reasoner.answer_all(case.requests, 1))
    hook.remove()
    assert len(seen) == (4 if FAST[case.family] else len(case.requests))


def test_what_a_model_is_decides_and_the_log_says_so_once(case: Case, caplog: pytest.LogCaptureFixture):
    processor = tiny_processor(case.family)
    with caplog.at_level(logging.INFO, "segzero"):
        reasoner = Reasoner(tiny_model(processor.tokenizer, family=case.family), processor, max_new_tokens=2)
        list(reasoner.answer_all(case.requests[:3], 1))
        list(reasoner.stream(case.frames[0], PROMPTS[0]))
    assert can_reuse(reasoner.model) is FAST[case.family]
    said = [record.getMessage() for record in caplog.records if record.name.startswith("segzero")]
    assert len(said) == (not FAST[case.family]) and all("qwen3_5 model" in line for line in said)


def test_deepstack_is_part_of_what_is_kept(tmp_path):
    """Without it the tiny Qwen3-VL says other things: were it lost in a cache, the tests above would fail."""
    case = Case("qwen3_vl", tmp_path)
    before = dict(case.reasoner.answer_all(case.requests, 3))
    for merger in case.reasoner.model.model.visual.deepstack_merger_list:
        torch.nn.init.zeros_(merger.linear_fc2.weight)
    assert dict(case.reasoner.answer_all(case.requests, 3)) != before


def test_a_model_that_forgets_goes_the_slower_way():
    """Qwen2.5-VL with a sliding window keeps no prefix whole, whatever its name is."""
    model = tiny_model(tiny_processor().tokenizer)
    assert can_reuse(model)
    model.config.text_config.layer_types = ["full_attention", "sliding_attention"]
    model.config.text_config.sliding_window = 8
    assert not can_reuse(model)
