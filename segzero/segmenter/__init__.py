"""From boxes and points to masks: SAM, SAM 2 and the bundled miniature behind one face.

    from segzero.segmenter import Segmenter
    Segmenter.load("sam2.1-large").segment(picture, targets).masks          # (N, H, W) bool

Imports the contract and loads weights by segzero/hub.py and weights.py; never reads a question. The flow, the
evaluation and the trainer may import it. Names are loaded when first used, for torch takes seconds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "crop": ["cut", "paste"],
        "mini_sam": ["MiniBackend", "MiniSam", "MiniSamConfig", "PADDING_RGB", "crop_prompts", "in_float8"],
        "segmenter": ["Masks", "Segmenter", "SegmenterError"],
    },
)
