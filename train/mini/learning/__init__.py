"""How the bundled models learn: the batches they see, the losses they are paid by, the packed forward.

Imports world, language and the core; only the trainings and checks at the top of train/mini import it.
"""
