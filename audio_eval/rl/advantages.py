"""Advantages from rewards. Every mean and deviation counts a completion as often as it was sampled."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

ConfidenceWeight = Literal["none", "linear", "sqrt", "exp", "exp_minus_1"]
EPS = 1e-4  # GRPO as in TRL: (r - mean) / (std + 1e-4), std with ddof 1

CONFIDENCE_WEIGHTS: dict[str, Callable[[float], float]] = {
    "none": lambda c: 1.0,
    "linear": lambda c: c,
    "sqrt": math.sqrt,
    "exp": math.exp,  # AQA-TTRL's f(confidence), in [1, e]
    "exp_minus_1": lambda c: math.exp(c - 1),  # OP-TTRAV's version of it, in [1/e, 1]
}


def reward_std(rewards: np.ndarray, counts: np.ndarray) -> float:
    """Sample standard deviation (ddof 1) of the group's N rewards; 0 for N < 2."""
    n = counts.sum()
    if n < 2:
        return 0.0
    mean = (rewards * counts).sum() / n
    return float(np.sqrt((counts * (rewards - mean) ** 2).sum() / (n - 1)))


def group_advantages(rewards: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Group-normalised advantages (GRPO, arXiv 2402.03300): rewards (U,), counts (U,) -> (U,)."""
    if not len(rewards):
        return rewards
    mean = (rewards * counts).sum() / counts.sum()
    return (rewards - mean) / (reward_std(rewards, counts) + EPS)


def joint_advantages(rewards: Sequence[np.ndarray], counts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """``group_advantages`` of several groups of one item, normalised together over all its views.

    Rewards (U_i,) and counts (U_i,) of each group -> advantages (U_i,) of each.
    """
    together = group_advantages(np.concatenate(rewards), np.concatenate(counts))
    return np.split(together, np.cumsum([len(r) for r in rewards])[:-1])
