"""Training and evaluation of reasoning segmentation; nothing in `segzero/` imports this package.

Importing it turns off what the libraries under it report to their makers: TRL tells of every trainer that is
made, vLLM of every engine, Gradio (which trackio shows its curves with) of every page. A variable that is set
beforehand stays as it is.
"""

import os

for _name, _quiet in (
    ("HF_HUB_DISABLE_TELEMETRY", "1"),  # TRL's, through huggingface_hub, which reads it when it is imported
    ("DO_NOT_TRACK", "1"),  # vLLM's
    ("GRADIO_ANALYTICS_ENABLED", "False"),
):
    os.environ.setdefault(_name, _quiet)
