"""Rewards of a group: one number for each unique completion, or for each sample (see advantages)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audio_eval.group import Group
from audio_eval.rl.advantages import completion_means, reward_std
from audio_eval.scoring import has_format, parse_choice


def accuracy_reward(group: Group, label: int) -> np.ndarray:
    """1 where the completion names option ``label``, else 0; shape (U,)."""
    choices = group.question.choices
    return np.array([float(parse_choice(c.text, choices) == label) for c in group.completions])


def format_reward(group: Group) -> np.ndarray:
    """1 where the whole completion is ``<answer>...</answer>`` (R1-AQA src/utils/rewards.py), else 0; shape (U,)."""
    return np.array([float(has_format(c.text)) for c in group.completions])


def mean_reward(groups: Sequence[Group], rewards: Sequence[np.ndarray]) -> float:
    """Mean over all samples, for the log; 0 where there are none."""
    values = [
        np.average(completion_means(r, np.array(g.counts)), weights=g.counts)
        for g, r in zip(groups, rewards, strict=True)
        if g.completions
    ]
    return float(np.mean(values)) if values else 0.0


def contrastless_share(groups: Sequence[Group], rewards: Sequence[np.ndarray]) -> float:
    """Share of groups in which all samples have the same reward, so that all advantages are 0; 0 without groups."""
    alike = [reward_std(r, np.array(g.counts)) == 0 for g, r in zip(groups, rewards, strict=True) if g.completions]
    return sum(alike) / len(alike) if alike else 0.0
