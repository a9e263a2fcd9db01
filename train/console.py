"""A run on the terminal: the progress bar, and one line of a table for each step.

trainer.remove_callback(ProgressCallback); trainer.add_callback(Console())

 step   reward       ±   accuracy  closeness  …       kl  entropy   tokens  no spread   s/step
    1    2.314   0.803      1.731      0.402  …   0.0000    0.311       64       0.12      4.1
"""

from __future__ import annotations

from transformers import ProgressCallback

_REPEAT = 20  # lines after which the head of the table comes again
_COLUMNS = {
    "reward": "reward",
    "reward_std": "±",
    "kl": "kl",
    "entropy": "entropy",
    "completions/mean_length": "tokens",
    "frac_reward_zero_std": "no spread",
    "step_time": "s/step",
}
"""Of what TRL logs, and what it is called here; each reward's mean stands after the ±."""


class Console(ProgressCallback):
    """The usual progress bar with a table in place of the dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []
        self._lines = 0

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if not state.is_world_process_zero or self.training_bar is None:
            return
        held_out = {name: value for name, value in logs.items() if name.startswith("eval_")}
        for name, value in held_out.items():
            if isinstance(value, float):
                self.training_bar.write(f"{state.global_step:5d}   held out: {name[5:]} {value:.4f}")
        if "reward" in logs:
            for line in self.table(state.global_step, logs):
                self.training_bar.write(line)

    def table(self, step: int, logs: dict[str, float]) -> list[str]:
        """A step's line, with the head above it where the table begins or its columns change."""
        parts = [name for name in logs if name.startswith("rewards/") and name.endswith("/mean")]
        titles = {name: _COLUMNS[name] for name in ("reward", "reward_std")}
        titles |= {name: name.split("/")[1] for name in parts}
        titles |= {name: title for name, title in _COLUMNS.items() if name in logs}
        widths = [max(8, len(title)) for title in titles.values()]
        lines = []
        if list(titles) != self._names or self._lines % _REPEAT == 0:
            self._names = list(titles)
            heads = (f"{title:>{width}}" for title, width in zip(titles.values(), widths, strict=True))
            lines.append("  ".join([" step", *heads]))
        cells = (_cell(logs[name], width) for name, width in zip(titles, widths, strict=True))
        self._lines += 1
        return [*lines, "  ".join([f"{step:5d}", *cells])]


def _cell(value: float | None, width: int) -> str:
    return f"{'-' if value is None else format(value, '.4g'):>{width}}"
