"""Reward functions for GRPO, as TRL calls them: `(completions, solution, **columns) -> list[float | None]`.

    from train.rewards import RECIPES, mask_reward
    GRPOTrainer(reward_funcs=[*RECIPES["segzero"], mask_reward(segmenter)], ...)

Imports the core's contract and pictures, and no torch: workers that only score start at once.
"""

from train.rewards.published import answer_format, items_format, thinking_format
from train.rewards.recipes import RECIPES, mask_reward
from train.rewards.reward_function import Reward, frames_of, text_of

__all__ = [
    "RECIPES",
    "Reward",
    "answer_format",
    "frames_of",
    "items_format",
    "mask_reward",
    "text_of",
    "thinking_format",
]
