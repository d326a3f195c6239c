"""Rewarded groups as experience: what GRPO learns from in a step, and what every such step logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from audio_eval.group import Group
from audio_eval.rl.advantages import group_advantages
from audio_eval.rl.loop import Experience
from audio_eval.rl.rewards import contrastless_share, mean_reward

Rewards = Sequence[np.ndarray]  # (U,) a group


def reinforce(
    groups: Sequence[Group], rewards: Rewards, parts: Mapping[str, Rewards], metrics: Mapping[str, float] | None = None
) -> Experience:
    """Group-normalised advantages of ``rewards``; logs their mean, that of each of ``parts``, and ``metrics``.

    Accuracy and format are logged apart: a group that is all right and of mixed format has contrast too.
    """
    advantages = [group_advantages(r, np.array(g.counts)) for g, r in zip(groups, rewards, strict=True)]
    logged = {
        "reward": mean_reward(groups, rewards),
        **{name: mean_reward(groups, part) for name, part in parts.items()},
        "no_contrast": contrastless_share(groups, rewards),
    }
    return Experience(list(groups), advantages, {**logged, **(metrics or {})})
