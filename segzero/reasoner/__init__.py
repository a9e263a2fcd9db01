"""From a picture and a prompt to text, token by token: a model in this process, or one behind a server.

    from segzero.reasoner import Reasoner
    for piece in Reasoner.load("assets/mini/reasoner").stream(frame, prompt): print(piece, end="")

Imports the contract and loads weights by segzero/hub.py and weights.py; knows nothing of masks, data or the
page. The flow, the evaluation and the trainer may import it. Names are loaded when first used, for torch
takes seconds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "loading": ["load_model", "load_processor"],
        "local": ["Reasoner"],
        "prompt_encoding": ["PromptEncoder"],
        "remote": ["RemoteReasoner"],
        "request": ["TEMPERATURE", "Request", "several"],
    },
)
