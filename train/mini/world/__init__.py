"""The small world: its sprites and backgrounds, and the scenes composed of them.

    from train.mini.world import Composer, World
    scene = Composer(World.load(), "test").compose(seed=7, wh=(320, 240))

The lowest room of train/mini: it knows nothing of language or of models.
"""

from train.mini.world.scenes import SPLITS, Composer, Scene, SceneObject, World

__all__ = ["Composer", "SPLITS", "Scene", "SceneObject", "World"]
