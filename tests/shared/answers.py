"""Answers to be paid for, and what a recipe pays for one.

parts("segzero", tagged(ONE), solution=ONE)
"""

from __future__ import annotations

from train.rewards import RECIPES

SQUARE = "<box>(100,100),(199,199)</box><points>(120,120),(180,180)</points>"
ONE = '[{"bbox_2d": [100,100,199,199], "point_2d": [150,150]}]'
TWO = ONE[:-1] + ', {"bbox_2d": [500,500,599,599], "point_2d": [550,550]}]'


def parts(recipe: str, text: str, solution: str, **columns: object) -> list[float]:
    """What each function of a recipe pays for one text. columns: one value each."""
    completions = [[{"role": "assistant", "content": text}]]
    more = {name: [value] for name, value in columns.items()}
    return [reward(completions, solution=[solution], **more)[0] for reward in RECIPES[recipe]]


def tagged(answer: str, thought: str = "The left one. It is red.") -> str:
    return f"<think>{thought}</think><answer>{answer}</answer>"


def single(bbox="[100,100,199,199]", first="[120,120]", second="[180,180]") -> str:
    """The first release's answer."""
    return f'{{"bbox": {bbox}, "points_1": {first}, "points_2": {second}}}'


def item(bbox="[100,100,199,199]", point="[150,150]") -> str:
    """One object of its successor's."""
    return f'{{"bbox_2d": {bbox}, "point_2d": {point}}}'
