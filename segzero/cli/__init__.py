"""The commands of `python -m segzero`: what they take, what they print, their exit codes.

    python -m segzero ask picture.png "What could keep me dry?"

The highest room: it may import all of segzero, and nothing of segzero imports it but __main__. app.py and
benchmarks share its options for choosing models.
"""

from segzero.cli.options import add_model_options, load_pipeline

__all__ = ["add_model_options", "load_pipeline"]
