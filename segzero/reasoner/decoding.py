"""What happens to each row of a batch at every step, however its scores came about: a draw, and its text.

    text = RowText(tokenizer)
    for token in tokens: print(text.take(token), end="")

`Draws` and `Watch` do it within transformers' generate, segzero.reasoner.continuous_batching without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream
from transformers import LogitsProcessor, StoppingCriteria

from segzero.contract import STOP
from segzero.reasoner.request import Request


class RowText:
    """The text of one row of a batch, token by token, up to and with `</answer>`; then it is done."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = DecodeStream(skip_special_tokens=True)
        self._end = ""  # the last characters, where a STOP may have begun
        self.done = False

    def take(self, token: int) -> str:
        """The text that a token adds; "" while a character is incomplete, and once it is done."""
        if self.done:
            return ""
        piece = self._decoder.step(self._tokenizer, token) or ""
        seen = self._end + piece
        stop = seen.find(STOP)
        if stop >= 0:  # one token may reach beyond the tag
            piece = piece[: stop + len(STOP) - len(self._end)]
            self.done = True
        self._end = seen[-(len(STOP) - 1) :]
        return piece


class Draw:
    """Draws the tokens of one row, the same for the same seed whatever is beside it."""

    def __init__(self, request: Request, device: torch.device) -> None:
        """request: its temperature is above 0."""
        self._temperature = request.temperature
        self._generator = torch.Generator(device).manual_seed(request.seed)

    def __call__(self, scores: torch.Tensor) -> torch.Tensor:
        """scores: (V,), on the device. Returns a token, () int64."""
        chances = (scores.float() / self._temperature).softmax(-1)
        return torch.multinomial(chances, 1, generator=self._generator)[0]


class Draws(LogitsProcessor):
    """Makes a greedy generate draw some rows: only the token that was drawn is left to choose.

    draws: a row's Draw, or None where it stays greedy.
    """

    def __init__(self, draws: Sequence[Draw | None]) -> None:
        self._draws = draws

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """scores: (B, V). Returns them, of the rows that are drawn all but one -inf."""
        scores = scores.clone()
        for row, draw in enumerate(self._draws):
            if draw is not None:
                token = draw(scores[row])
                scores[row] = -torch.inf
                scores[row, token] = 0.0
        return scores


class Watch(StoppingCriteria):
    """Sees every token as soon as it is chosen: hands on its text, and says which rows of the batch are done.

    A streamer and stop_strings would do the same, but the one waits for white space, and the other spends
    seconds on a table of the vocabulary for each question.
    """

    def __init__(
        self, tokenizer: Tokenizer, rows: int, emit: Callable[[int, str], None], stopped: Callable[[], bool]
    ) -> None:
        """emit(row, piece): called for every piece of text. stopped(): whether all of it is to end."""
        self._emit, self._stopped = emit, stopped
        self._texts = [RowText(tokenizer) for _ in range(rows)]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs) -> torch.Tensor:
        """input_ids: (B, L), the newest token last. Returns (B,) bool, true where generation is over."""
        for row, token in enumerate(input_ids[:, -1].tolist()):
            if piece := self._texts[row].take(token):
                self._emit(row, piece)
        return torch.tensor([self._stopped() or text.done for text in self._texts], device=input_ids.device)
