"""One step of GRPO: sample groups, reward them, and turn the rewards into advantages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from audio_eval.group import Group
from audio_eval.models.policy import Policy, Sampling
from audio_eval.questions import Question
from audio_eval.rl.advantages import completion_means, group_advantages
from audio_eval.rl.attempts import sample_with_attempts
from audio_eval.rl.experience import Experience
from audio_eval.rl.rewards import contrastless_share, mean_reward
from audio_eval.rl.settings import Rollouts

Parts = dict[str, np.ndarray]  # the parts of one group's reward by name: (U,) each, or (N,) each


class Rewards(NamedTuple):
    """The rewards of several groups, (U,) or (N,) each, and the parts that they are made of by name.

    The first part stands for being right: the oracle compares it with the answers.
    """

    totals: list[np.ndarray]
    parts: dict[str, list[np.ndarray]]


@dataclass(frozen=True)
class Reward:
    """A reward as a weighted sum: ``parts`` of a group, usually from 0 to 1, and the weight of each in ``mix``."""

    parts: Callable[[Group], Parts]
    mix: Mapping[str, float]

    def total(self, parts: Parts) -> np.ndarray:
        """The reward of a group with these parts."""
        return np.sum([self.mix[name] * part for name, part in parts.items()], axis=0)

    def of(self, groups: Sequence[Group]) -> Rewards:
        """The rewards of several groups."""
        parts = [self.parts(group) for group in groups]
        return Rewards(
            [self.total(part) for part in parts], {name: [part[name] for part in parts] for name in self.mix}
        )


def reinforce(
    groups: Sequence[Group],
    rewards: Rewards,
    weights: Mapping[str, float] | None = None,
    advantages: Sequence[np.ndarray] | None = None,
) -> Experience:
    """The experience of a step that learns from rewarded groups.

    ``advantages`` are the rewards normalised within each group unless they are given. ``weights`` scale them, by
    question id. The log gets the mean reward, the mean of each part, and the share of groups without contrast.
    """
    if advantages is None:
        advantages = [group_advantages(r, np.array(g.counts)) for g, r in zip(groups, rewards.totals, strict=True)]
    if weights is not None:
        advantages = [weights[g.question.id] * a for g, a in zip(groups, advantages, strict=True)]
    metrics = {
        "reward": mean_reward(groups, rewards.totals),
        **{name: mean_reward(groups, part) for name, part in rewards.parts.items()},
        "no_contrast": contrastless_share(groups, rewards.totals),
    }
    first = next(iter(rewards.parts.values()))
    correctness = [completion_means(part, np.array(g.counts)) for g, part in zip(groups, first, strict=True)]
    return Experience(list(groups), list(advantages), metrics, correctness)


def roll_out(
    policy: Policy, batch: Sequence[Question], sampling: Sampling, c: Rollouts, reward: Reward,
    weights: Mapping[str, float] | None = None,
) -> Experience:  # fmt: skip
    """Sample a group for each question, again where it has no contrast, and reward it; ``weights`` as above."""
    sampled = sample_with_attempts(
        policy, batch, sampling, lambda group: reward.total(reward.parts(group)), c.criterion, c.max_attempts
    )
    found = reinforce(sampled.groups, reward.of(sampled.groups), weights)
    found.metrics.update(sampled.metrics())
    return found
