"""Multiple-attempt sampling: a group without contrast is sampled again, up to a limit (AQA-TTRL, arXiv 2510.05478)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from audio_eval.group import Group
from audio_eval.models.policy import Policy, Sampling
from audio_eval.questions import Question
from audio_eval.rl.advantages import reward_std
from audio_eval.rl.settings import Criterion


@dataclass
class Attempts:
    """The groups in the end, and how many attempts they took."""

    groups: list[Group]
    attempts: int  # over all questions
    rescued: int  # groups without contrast at first, and with it in a later attempt
    stuck: int  # groups without contrast in the last attempt too; they are kept

    def metrics(self) -> dict[str, float]:
        """For the log. ``attempts`` is the mean over the questions."""
        mean = self.attempts / max(len(self.groups), 1)
        return {"attempts": mean, "rescued": self.rescued, "stuck": self.stuck}


def has_contrast(group: Group, rewards: np.ndarray, criterion: Criterion) -> bool:
    """Whether a group can teach anything by this criterion. An empty group never can."""
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
    """Sample a group for each question. Those without contrast are sampled again, from a new random stream."""
    chosen: dict[int, Group] = {}
    open_, total, rescued = list(range(len(questions))), 0, 0
    for attempt in range(max_attempts):
        stream = f"{sampling.stream}/attempt{attempt}"
        sampled = policy.generate([questions[i] for i in open_], sampling.keyed(stream))
        total += len(open_)
        still = []
        for i, group in zip(open_, sampled, strict=True):
            chosen[i] = group
            if group.error is None and not has_contrast(group, reward(group), criterion):
                still.append(i)
            elif attempt and group.error is None:
                rescued += 1
        open_ = still
        if not open_:
            break
    return Attempts([chosen[i] for i in range(len(questions))], total, rescued, len(open_))
