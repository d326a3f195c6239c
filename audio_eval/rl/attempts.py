"""Multiple-attempt sampling: a group without contrast is drawn again, up to a limit (AQA-TTRL, arXiv 2510.05478)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np

from audio_eval.models.policy import Policy, Sampling
from audio_eval.questions import Question
from audio_eval.rl.advantages import reward_std
from audio_eval.rl.group import Group

Criterion = Literal["identical_outputs", "zero_reward_std"]
T = TypeVar("T")


@dataclass
class Attempts(Generic[T]):
    """What multiple-attempt sampling did: ``rescued`` groups failed at first and were accepted later."""

    groups: list[T]
    attempts: int
    rescued: int
    stuck: int  # still without contrast at the last attempt; the last group is kept

    def metrics(self) -> dict[str, float]:
        """For the log; ``attempts`` is a mean over the questions."""
        mean = self.attempts / max(len(self.groups), 1)
        return {"attempts": mean, "rescued": self.rescued, "stuck": self.stuck}


def has_contrast(groups: Sequence[Group], rewards: Sequence[np.ndarray], criterion: Criterion) -> bool:
    """Whether an item's groups, taken as one, can teach anything by this criterion.

    Groups that could not be asked never can, but drawing them again is of no use: they count as if they could.
    """
    if any(group.error is not None for group in groups):
        return True
    if criterion == "identical_outputs":
        return len({c.text for group in groups for c in group.completions}) > 1
    counts = np.array([n for group in groups for n in group.counts])
    return bool(len(counts)) and reward_std(np.concatenate(rewards), counts) > 0


def redraw(
    questions: Sequence[Question],
    draw: Callable[[Sequence[Question], int], list[T]],
    contrast: Callable[[T], bool],
    max_attempts: int,
) -> Attempts[T]:
    """``draw(questions, attempt)`` for all, then again for those without contrast; the last one drawn is kept."""
    chosen: dict[int, T] = {}
    open_, total, rescued = list(range(len(questions))), 0, 0
    for attempt in range(max_attempts):
        total += len(open_)
        drawn = dict(zip(open_, draw([questions[i] for i in open_], attempt), strict=True))
        chosen |= drawn
        still = [i for i in open_ if not contrast(drawn[i])]
        rescued += len(open_) - len(still) if attempt else 0
        open_ = still
        if not open_:
            break
    return Attempts([chosen[i] for i in range(len(questions))], total, rescued, len(open_))


def sample_with_attempts(
    policy: Policy,
    questions: Sequence[Question],
    sampling: Sampling,
    reward: Callable[[Group], np.ndarray],
    criterion: Criterion,
    max_attempts: int,
) -> Attempts[Group]:
    """Draw a group for each question; those without contrast are drawn again from their next random stream."""
    return redraw(
        questions,
        lambda asked, attempt: policy.generate(asked, sampling.keyed(f"{sampling.stream}/attempt{attempt}")),
        lambda group: has_contrast([group], [reward(group)], criterion),
        max_attempts,
    )
