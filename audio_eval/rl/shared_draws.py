"""What the unadapted policy draws for several runs of one command: the same draws are made once.

Votes with equal settings are the same samples for every method, as random streams are keyed by (seed, question id,
purpose). So majority_vote, sft and aqa_ttrl need one vote. Every run still keeps the draws in its own files, counts
them as its samples, and is charged the seconds that they took.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from audio_eval.group import Group
from audio_eval.models.policy import Policy, Sampling
from audio_eval.questions import Question


class Drawn(NamedTuple):
    """The groups of a batch; the seconds that they took in an earlier run, 0 where they were drawn just now."""

    groups: list[Group]
    earlier_seconds: float


class SharedDraws:
    """The draws of ``policy`` for one task.

    Equal draws have the same questions in a batch, in the same order (padding depends on it), and the same sampling,
    seed included. Only draws of several samples are kept: single answers are seldom asked for twice.
    """

    def __init__(self, policy: Policy, task: str) -> None:
        self.policy, self.task = policy, task
        self._known: dict[tuple[tuple[Question, ...], Sampling], Drawn] = {}

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> Drawn:
        """The policy's groups, drawn now or before."""
        key = (tuple(questions), sampling)
        if key in self._known:
            return self._known[key]
        began = time.monotonic()
        groups = self.policy.generate(questions, sampling)
        if sampling.n > 1:
            self._known[key] = Drawn(groups, time.monotonic() - began)
        return Drawn(groups, 0.0)
