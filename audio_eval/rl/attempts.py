"""Multiple-attempt sampling: a group without contrast is drawn again, up to a limit (AQA-TTRL, arXiv 2510.05478)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audio_eval.group import Group
from audio_eval.models.policy import Policy, Sampling
from audio_eval.questions import Question
from audio_eval.rl.advantages import reward_std

Criterion = Literal["identical_outputs", "zero_reward_std"]


@dataclass
class Attempts:
    """What multiple-attempt sampling did: ``rescued`` groups failed at first and were accepted later."""

    groups: list[Group]
    attempts: int
    rescued: int
    stuck: int  # still without contrast at the last attempt; the last group is kept

    def metrics(self) -> dict[str, float]:
        """For the log; ``attempts`` is a mean over the questions."""
        mean = self.attempts / max(len(self.groups), 1)
        return {"attempts": mean, "rescued": self.rescued, "stuck": self.stuck}


def has_contrast(group: Group, rewards: np.ndarray, criterion: Criterion) -> bool:
    """Whether a group can teach anything by this criterion; a group that could not be asked never can."""
    if criterion == "identical_outputs":
        return len({c.text for c in group.completions}) > 1
    return bool(group.completions) and reward_std(rewards, np.array(group.counts)) > 0


def sample_with_attempts(
    policy: Policy,
    questions: Sequence[Question],
    sampling: Sampling,
    reward: Callable[[Group], np.ndarray],
    criterion: Criterion,
    max_attempts: int,
) -> Attempts:
    """Draw a group for each question; those without contrast are drawn again from their next random stream."""
    chosen: dict[int, Group] = {}
    open_, total, rescued = list(range(len(questions))), 0, 0
    for attempt in range(max_attempts):
        stream = f"{sampling.stream}/attempt{attempt}"
        drawn = policy.generate([questions[i] for i in open_], sampling.keyed(stream))
        total += len(open_)
        still = []
        for i, group in zip(open_, drawn, strict=True):
            chosen[i] = group
            if group.error is None and not has_contrast(group, reward(group), criterion):
                still.append(i)
            elif attempt and group.error is None:
                rescued += 1
        open_ = still
        if not open_:
            break
    return Attempts([chosen[i] for i in range(len(questions))], total, rescued, len(open_))
