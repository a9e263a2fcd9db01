"""Training data: rows from composed scenes, from a folder in the local format, or from a public set.

    from train.data import load
    dataset, report = load("scenes", PRESETS["mini"], rows=512)

Imports the core and, for composed scenes, train/mini; the trainer and benchmarks import it.
"""

from train.data.dataset import load

__all__ = ["load"]
