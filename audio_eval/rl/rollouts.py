"""One step of GRPO, as every method that learns from rewards takes it: draw groups, reward, normalise, weigh."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from audio_eval.group import Group
from audio_eval.models.policy import Policy, Sampling, Training
from audio_eval.questions import Question
from audio_eval.rl.advantages import group_advantages
from audio_eval.rl.attempts import Criterion, sample_with_attempts
from audio_eval.rl.loop import Experience
from audio_eval.rl.rewards import mean_reward

Parts = dict[str, np.ndarray]  # named parts of a reward, (U,) each


@dataclass(frozen=True)
class Reward:
    """``parts`` of a group's reward, each 0 to 1 as a rule, and the weight of each in ``mix``.

    The first part is what stands for being right: the log and the oracle compare it with the answer.
    """

    parts: Callable[[Group], Parts]
    mix: Mapping[str, float]

    def total(self, parts: Parts) -> np.ndarray:
        """The reward (U,): the weighted sum."""
        return np.sum([self.mix[name] * part for name, part in parts.items()], axis=0)


class Steps(Training):
    """Settings of the steps."""

    steps: int = Field(100, ge=0, description="updates; the last one is what is scored")
    batch_size: int = Field(8, ge=1, description="questions a step")
    group_size: int = Field(4, ge=2, description="rollouts a question (G)")


class Rollouts(Steps):
    """Settings of steps in which a group without contrast may be drawn again."""

    max_attempts: int = Field(1, ge=1, description="groups drawn at most for a question in a step")
    criterion: Criterion = Field("identical_outputs", description="when a group is drawn again")


def roll_out(
    policy: Policy, batch: Sequence[Question], c: Rollouts, temperature: float, step: int, reward: Reward,
    weights: Mapping[str, float] | None = None,
) -> Experience:  # fmt: skip
    """Draw a group for each question, again where it has no contrast; ``weights`` scale advantages, by question id."""
    sampling = Sampling(n=c.group_size, temperature=temperature, stream=f"step{step}")
    drawn = sample_with_attempts(
        policy, batch, sampling, lambda group: reward.total(reward.parts(group)), c.criterion, c.max_attempts
    )
    found = learn_from(drawn.groups, reward, weights)
    found.metrics.update(drawn.metrics())
    return found


def learn_from(groups: Sequence[Group], reward: Reward, weights: Mapping[str, float] | None = None) -> Experience:
    """Advantages of groups that were drawn; the mean of every part of the reward is logged by its name."""
    parts = [reward.parts(group) for group in groups]
    totals = [reward.total(part) for part in parts]
    advantages = [
        (1.0 if weights is None else weights[group.question.id]) * group_advantages(r, np.array(group.counts))
        for group, r in zip(groups, totals, strict=True)
    ]
    metrics = {"reward": mean_reward(groups, totals)}
    metrics |= {name: mean_reward(groups, [part[name] for part in parts]) for name in reward.mix}
    judged = next(iter(reward.mix))
    return Experience(list(groups), advantages, metrics, [part[judged] for part in parts])
