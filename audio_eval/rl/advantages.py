"""Advantages from rewards. Every mean and deviation is over the N samples of a group.

Rewards are one number per unique completion (U,), or one per sample (N,) where equal completions may be worth different
amounts; the samples of a completion then stand side by side, in the order of the completions.
"""

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


def completion_means(rewards: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean reward (U,) of each completion's samples: rewards (U,) or (N,), counts (U,)."""
    if len(rewards) == len(counts):
        return rewards
    return np.add.reduceat(rewards, np.cumsum(counts) - counts) / counts


def reward_std(rewards: np.ndarray, counts: np.ndarray) -> float:
    """Sample standard deviation (ddof 1) of the group's N rewards, given as (U,) or (N,); 0 for N < 2."""
    if len(rewards) != len(counts):
        counts = np.ones(len(rewards), int)
    n = counts.sum()
    if n < 2:
        return 0.0
    mean = (rewards * counts).sum() / n
    return float(np.sqrt((counts * (rewards - mean) ** 2).sum() / (n - 1)))


def group_advantages(rewards: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Group-normalised advantages (GRPO, arXiv 2402.03300): rewards (U,) or (N,), counts (U,) -> (U,).

    The N samples are normalised first; a completion's advantage is the mean over its samples.
    """
    if not len(rewards):
        return rewards
    means = completion_means(rewards, counts)
    mean = (means * counts).sum() / counts.sum()
    return (means - mean) / (reward_std(rewards, counts) + EPS)


def joint_advantages(rewards: Sequence[np.ndarray], counts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """``group_advantages`` of several groups of one item, normalised together over all its views.

    Rewards and counts (U_i,) of each group -> advantages (U_i,) of each. The rewards are all per completion or all per
    sample.
    """
    together = group_advantages(np.concatenate(rewards), np.concatenate(counts))
    return np.split(together, np.cumsum([len(c) for c in counts])[:-1])
