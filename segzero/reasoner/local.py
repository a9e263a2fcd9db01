"""A reasoner in this process: a vision-language model that thinks aloud about a picture, token by token.

    reasoner = Reasoner.load("assets/mini/reasoner")
    for delta in reasoner.stream(preset.frame.show(picture), MULTI.prompt("What keeps me dry?")): ...

Greedy, as the published results are, unless an evaluation draws; a repetition penalty that the weights were
published with stays on.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import torch
from PIL import Image
from safetensors import SafetensorError
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    PreTrainedModel,
    ProcessorMixin,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.utils import is_flash_attn_2_available

from segzero.hub import ModelError, model_folder, one_line
from segzero.reasoner.continuous_batching import ContinuousBatching, RowText
from segzero.reasoner.prefix_cache import PrefixCache, can_reuse
from segzero.reasoner.prompt_encoding import PromptEncoder
from segzero.reasoner.relay import relay
from segzero.reasoner.request import Request

__all__ = ["ModelError", "Reasoner"]

LARGE_BYTES = 1 << 30
"""Weights of this size and more run in bf16 on a GPU. For smaller ones fp32 costs nothing and is exact."""

_LOADING = (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError)
"""What loading raises for damaged or foreign files, and for too little memory."""

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
        self._process, self._starting = os.getpid(), threading.Lock()
        self._thread = ThreadPoolExecutor(1, "reasoner")

    @classmethod
    def load(cls, model: str | Path, *, device: str | None = None, max_new_tokens: int = 1024) -> Reasoner:
        """Load a folder or a Hub id. Raises ModelError, in one line, when that cannot be done.

        device: "cuda", "mps" or "cpu"; None takes the best there is. fp32 on a CPU, else see LARGE_BYTES.

        On CUDA a large model decodes with a static cache, for which transformers compiles it during the first
        answer: a minute's wait, to decode faster from then on. TORCHDYNAMO_DISABLE=1 in the environment turns
        that off. Compiling was not run where this was written, for want of a GPU; the static cache was.
        """
        folder = model_folder(model)
        device = _usable(device or best_device())
        large = _is_large(folder) and not device.startswith("cpu")
        try:
            processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
            weights, report = AutoModelForImageTextToText.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                dtype=torch.bfloat16 if large else torch.float32,
                attn_implementation=_attention(device) if large else "sdpa",
            )
            if missing := sorted(report["missing_keys"]):
                raise ValueError(f"its weights lack {len(missing)} tensors, {missing[0]} for one")
            wanted = getattr(weights.config, "image_token_id", None)
            if wanted is not None and getattr(processor, "image_token_id", wanted) != wanted:
                raise ValueError("its tokenizer is missing, or belongs to another model")
            return cls(
                weights.to(device),
                processor,
                max_new_tokens=max_new_tokens,
                static=large and device.startswith("cuda") and _can_compile(),
            )
        except _LOADING as error:
            advice = "Name a folder or a Hub id of an image-text-to-text model of transformers, complete"
            raise ModelError(f"{model} cannot be loaded: {one_line(error)}. {advice}.") from error

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

    def answer_all(self, requests: Iterable[Request], at_once: int) -> Iterator[tuple[Hashable, str]]:
        """Answer any number of questions, `at_once` at a time: (key, text) of each as it ends, in any order.

        For evaluation: the texts are those that `stream` would yield, or drawn where a Request says so.
        `requests` is read on the model's thread, as there is room. Raises ModelError for drawing from a
        model that segzero.reasoner.continuous_batching does not know.
        """

        def work(emit: Callable[[tuple[Hashable, str]], None], stopped: Callable[[], bool]) -> None:
            if self._prefix is not None:
                batching = ContinuousBatching(
                    self.model, self.encoder, rows=at_once, max_new_tokens=self.max_new_tokens
                )
                batching.run(iter(requests), emit, stopped)
            else:
                self._in_batches(iter(requests), at_once, emit, stopped)

        return relay(work, self._submit)

    def _in_batches(
        self,
        requests: Iterator[Request],
        at_once: int,
        emit: Callable[[tuple[Hashable, str]], None],
        stopped: Callable[[], bool],
    ) -> None:
        """What `answer_all` does with models whose rows cannot be exchanged."""
        while not stopped() and (batch := list(islice(requests, at_once))):
            if any(request.temperature > 0 for request in batch):
                kind = self.model.config.model_type
                raise ModelError(f"Answers of a {kind} model cannot be drawn. Ask for one answer each.")
            texts = [""] * len(batch)

            def collect(row: int, piece: str, texts: list[str] = texts) -> None:
                texts[row] += piece

            self._generate(
                [request.frame for request in batch], [request.prompt for request in batch], collect, stopped
            )
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
    ) -> None:
        if self._prefix is not None and len(prompts) == 1:
            inputs = self._prefix(frames[0], prompts[0], self.max_new_tokens)
        else:
            inputs = self.encoder(frames, prompts).to(self.model.device)
        watch = _Watch(self.encoder.processor.tokenizer.backend_tokenizer, len(prompts), emit, stopped)
        self.model.generate(
            **inputs,
            **_GREEDY,
            max_new_tokens=self.max_new_tokens,
            stopping_criteria=StoppingCriteriaList([watch]),
        )


class _Watch(StoppingCriteria):
    """Sees every token as soon as it is chosen: hands on its text, and says which rows of the batch are done.

    A streamer and stop_strings would do the same, but the one waits for white space, and the other spends
    seconds on a table of the vocabulary for each question.
    """

    def __init__(
        self, tokenizer, rows: int, emit: Callable[[int, str], None], stopped: Callable[[], bool]
    ) -> None:
        self._emit, self._stopped = emit, stopped
        self._texts = [RowText(tokenizer) for _ in range(rows)]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs) -> torch.Tensor:
        """input_ids: (B, L), the newest token last. Returns (B,) bool, true where generation is over."""
        for row, token in enumerate(input_ids[:, -1].tolist()):
            if piece := self._texts[row].take(token):
                self._emit(row, piece)
        return torch.tensor([self._stopped() or text.done for text in self._texts], device=input_ids.device)


def best_device() -> str:
    """The best device of this machine: CUDA before Apple's mps before the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _usable(device: str) -> str:
    """The device, after a try. Raises ModelError when this machine does not have it."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            f"Device {device} cannot be used: {one_line(error)}. Choose cpu, or none."
        ) from error
    return device


def _is_large(folder: Path) -> bool:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors")) >= LARGE_BYTES


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
