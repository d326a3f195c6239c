"""Experience: what one training step learns from, and the record of its rollouts for the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audio_eval.group import Group


@dataclass
class Experience:
    """Groups to train on, an advantage (U,) for the completions of each group, and metrics for the log.
    The other fields are for the log and the oracle only. ``rollouts`` are the groups as they were sampled, where only
    part of the samples is trained on; they pair up with ``groups``. ``correctness`` (U,) of each rollout group is the
    part of the reward that stands for being right, 0 to 1. ``labels`` are the pseudo-labels as texts by question id.
    ``given``: the completions were written, not sampled, so they say nothing of what the policy answers.
    """

    groups: list[Group]
    advantages: list[np.ndarray]
    metrics: dict[str, float] = field(default_factory=dict)
    correctness: list[np.ndarray] = field(default_factory=list)
    rollouts: list[Group] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    given: bool = False

    def records(self, step: int) -> list[dict[str, Any]]:
        """One line of ``rollouts.jsonl`` per group: what step ``step`` sampled, trained on and took to be right."""
        sampled = self.rollouts or self.groups
        correctness: Sequence[Sequence[float | None]] = [c.tolist() for c in self.correctness] or [
            [None] * len(group.completions) for group in sampled
        ]
        return [
            {
                "step": step,
                "id": group.question.id,
                "choices": group.question.choices,
                "label": self.labels.get(group.question.id),
                # text, times sampled, times trained on, how right it was taken to be
                "completions": [
                    [c.text, n, trained.get(c, 0), None if right is None else round(right, 4)]
                    for c, n, right in zip(group.completions, group.counts, values, strict=True)
                ],
            }
            for group, values, trained in zip(sampled, correctness, map(_counted, self.groups), strict=True)
        ]


def _counted(group: Group) -> dict[Any, int]:
    return dict(zip(group.completions, group.counts, strict=True))
