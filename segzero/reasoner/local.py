"""A reasoner in this process: a vision-language model that thinks aloud about a picture, token by token.

    reasoner = Reasoner.load("assets/mini/reasoner")
    for delta in reasoner.stream(preset.frame.show(picture), MULTI.prompt("What keeps me dry?")): ...

Greedy, as the published results are, unless an evaluation draws; a repetition penalty that the weights were
published with stays on.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import groupby, islice
from pathlib import Path

import torch
from PIL import Image
from transformers import (
    LogitsProcessorList,
    PreTrainedModel,
    ProcessorMixin,
    StoppingCriteriaList,
)
from transformers.utils import is_flash_attn_2_available

from segzero.hub import ModelError, is_adapter, model_folder
from segzero.reasoner.adapter import base_of, merge_adapter, processor_of
from segzero.reasoner.continuous_batching import ContinuousBatching
from segzero.reasoner.decoding import Draw, Draws, Watch
from segzero.reasoner.loading import load_model, load_processor, quantized
from segzero.reasoner.prefix_cache import PrefixCache, can_reuse
from segzero.reasoner.prompt_encoding import PromptEncoder
from segzero.reasoner.relay import relay
from segzero.reasoner.request import Request
from segzero.room import Load, fits_in_fp32
from segzero.weights import best_device, named, place, usable_device

__all__ = ["ModelError", "Reasoner"]

log = logging.getLogger(__name__)

LARGE_BYTES = 1 << 30
"""Weights of this size and more run in bf16 on a GPU. For smaller ones fp32 costs nothing and is exact."""

_GREEDY = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}


class Reasoner:
    """An image-text-to-text model of transformers and its processor.

    Whatever touches the model runs on one thread of its own, question after question, whoever asks: readers
    never mix, and what belongs to a thread (CUDA graphs) stays valid. The thread ends with the object, and
    before the interpreter, which waits for an executor's: left inside torch it would crash the process.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        processor: ProcessorMixin,
        *,
        max_new_tokens: int = 1024,
        static: bool = False,
    ) -> None:
        self.model = model.eval()
        self.max_new_tokens = max_new_tokens
        self.encoder = PromptEncoder(processor)
        self._prefix = PrefixCache(model, self.encoder, static=static) if can_reuse(model) else None
        if self._prefix is None:
            kind = model.config.model_type
            log.warning("A %s model goes the slower way: it reads its picture anew for every question.", kind)
        self._process, self._starting = os.getpid(), threading.Lock()
        self._thread = ThreadPoolExecutor(1, "reasoner")

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        device: str | None = None,
        max_new_tokens: int = 1024,
        quantize: str | None = None,
        lacking: Callable[[Load], str] | None = None,
    ) -> Reasoner:
        """Load a folder or a Hub id. Raises ModelError, in one line, when that cannot be done.

        model: of a LoRA adapter as well, whose base is found and which is merged into it.
        device: "cuda", "mps" or "cpu"; None takes the best there is. fp32 on a CPU with the memory for it,
        else see LARGE_BYTES.
        quantize: "8bit" or "4bit", by bitsandbytes; the vision tower and the head stay in bf16.
        lacking: see model_folder.

        On CUDA a large model decodes with a static cache, for which transformers compiles it during the first
        answer: a minute's wait, to decode faster from then on. TORCHDYNAMO_DISABLE=1 in the environment turns
        that off. Compiling was not run where this was written, for want of a GPU; the static cache was.
        """
        folder = model_folder(model, adapter=True, lacking=lacking)
        adapted = is_adapter(folder)
        base = model_folder(base_of(folder), lacking=lacking) if adapted else folder
        device = usable_device(device or best_device())
        size = sum(path.stat().st_size for path in base.glob("*.safetensors"))
        large = size >= LARGE_BYTES and not device.startswith("cpu")
        advice = "Name a folder or a Hub id of an image-text-to-text model of transformers, complete"
        with named(f"{model} cannot be loaded", advice):
            processor = load_processor(processor_of(folder, base) if adapted else base, base)
            weights = load_model(
                base,
                dtype=torch.bfloat16 if large or quantize or not fits_in_fp32(size) else torch.float32,
                attn_implementation=_attention(device) if large else "sdpa",
                **(quantized(quantize, device) if quantize else {}),
            )
            if adapted:
                weights = merge_adapter(weights, folder, beside=quantize is not None)
            return cls(
                weights if quantize else place(weights, device),
                processor,
                max_new_tokens=max_new_tokens,
                static=large and device.startswith("cuda") and _can_compile(),
            )

    def stream(
        self, image: Image.Image, prompt: str, *, cancel: threading.Event | None = None
    ) -> Iterator[str]:
        """Yield what the model writes as it writes it, about a piece a token, up to and with `</answer>`.

        image: the square frame, of the size the model was trained with. prompt: a dialect's prompt text.
        Setting `cancel`, or closing the generator, stops the model within one token. Its errors surface here.
        """

        def work(emit: Callable[[str], None], stopped: Callable[[], bool]) -> None:
            self._generate([image], [prompt], lambda row, piece: emit(piece), stopped)

        return relay(work, self._submit, cancel)

    def generate(self, frames: Sequence[Image.Image], prompts: Sequence[str]) -> list[str]:
        """Answer several questions in one batch, greedily: the texts that `stream` would yield."""
        texts = [""] * len(prompts)

        def work(emit: Callable[[str], None], stopped: Callable[[], bool]) -> None:
            def collect(row: int, piece: str) -> None:
                texts[row] += piece

            self._generate(frames, prompts, collect, stopped)

        list(relay(work, self._submit))
        return texts

    def answer_all(
        self, requests: Iterable[Request], at_once: int, *, cancel: threading.Event | None = None
    ) -> Iterator[tuple[Hashable, str]]:
        """Answer any number of questions, `at_once` at a time: (key, text) of each as it ends, in any order.

        For evaluation: the texts are those that `stream` would yield, or drawn where a Request says so.
        `requests` is read on the model's thread, as there is room. Setting `cancel`, or closing the
        generator, ends it.
        """

        def work(emit: Callable[[tuple[Hashable, str]], None], stopped: Callable[[], bool]) -> None:
            if self._prefix is not None:
                batching = ContinuousBatching(
                    self.model, self.encoder, rows=at_once, max_new_tokens=self.max_new_tokens
                )
                batching.run(iter(requests), emit, stopped)
            else:
                self._in_batches(requests, at_once, emit, stopped)

        return relay(work, self._submit, cancel)

    def _in_batches(
        self,
        requests: Iterable[Request],
        at_once: int,
        emit: Callable[[tuple[Hashable, str]], None],
        stopped: Callable[[], bool],
    ) -> None:
        """What `answer_all` does with models whose rows cannot be exchanged."""
        for batch in _batches(requests, at_once):
            if stopped():
                return
            texts = [""] * len(batch)

            def collect(row: int, piece: str, texts: list[str] = texts) -> None:
                texts[row] += piece

            draws = [Draw(each, self.model.device) if each.temperature > 0 else None for each in batch]
            frames, prompts = [each.frame for each in batch], [each.prompt for each in batch]
            self._generate(frames, prompts, collect, stopped, draws)
            for request, text in zip(batch, texts, strict=True):
                emit((request.key, text))

    def _submit(self, job: Callable[[], None]) -> None:
        """Queue a job for the thread; a forked process has one of its own."""
        with self._starting:
            if self._process != os.getpid():
                self._process, self._thread = os.getpid(), ThreadPoolExecutor(1, "reasoner")
        self._thread.submit(job)

    def _generate(
        self,
        frames: Sequence[Image.Image],
        prompts: Sequence[str],
        emit: Callable[[int, str], None],
        stopped: Callable[[], bool],
        draws: Sequence[Draw | None] = (),
    ) -> None:
        if self._prefix is not None and len(prompts) == 1:
            inputs = self._prefix(frames[0], prompts[0], self.max_new_tokens)
        else:
            inputs = self.encoder(frames, prompts).to(self.model.device)
        watch = Watch(self.encoder.processor.tokenizer.backend_tokenizer, len(prompts), emit, stopped)
        self.model.generate(
            **inputs,
            **_GREEDY,
            max_new_tokens=self.max_new_tokens,
            logits_processor=LogitsProcessorList([Draws(draws)] if any(draws) else []),
            stopping_criteria=StoppingCriteriaList([watch]),
        )


def _batches(requests: Iterable[Request], at_once: int) -> Iterator[list[Request]]:
    """At most `at_once` that follow each other; pictures of one size, since most processors stack them."""
    for _, same in groupby(requests, key=lambda request: request.frame.size):
        while batch := list(islice(same, at_once)):
            yield batch


def _attention(device: str) -> str | dict[str, str]:
    """Flash attention, where installed, for the vision tower, which otherwise attends window by window.

    The text stays with sdpa: it compiles, and takes a static cache that is filled already.
    """
    flash = device.startswith("cuda") and is_flash_attn_2_available()
    return {"": "sdpa", "vision_config": "flash_attention_2"} if flash else "sdpa"


def _can_compile() -> bool:
    """Whether compiling has what it needs, and lasts: a ZeroGPU Space would do it anew for each question."""
    compiler = any(shutil.which(name) for name in ("cc", "gcc", "clang"))
    return compiler and find_spec("triton") is not None and not os.environ.get("SPACES_ZERO_GPU")
