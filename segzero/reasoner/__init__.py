"""From a picture and a prompt to text, token by token: a model in this process, or one behind a server.

    from segzero.reasoner import Reasoner
    for piece in Reasoner.load("assets/mini/reasoner").stream(frame, prompt): print(piece, end="")

Imports the contract and finds weights through segzero/hub.py; knows nothing of masks, data or the page. The
flow, the evaluation and the trainer may import it. Names are loaded when first used, for torch takes
seconds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "local": ["Reasoner", "best_device"],
        "prompt_encoding": ["PromptEncoder"],
        "remote": ["RemoteReasoner"],
        "request": ["Request"],
    },
)
