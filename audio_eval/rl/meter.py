"""Meter: counts what a policy is made to do, and notes the questions that had a problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from audio_eval.group import Group
from audio_eval.models.policy import (
    Policy,
    PolicyInfo,
    Sampling,
    ScoresCompletions,
    TrainablePolicy,
    Training,
    Update,
)
from audio_eval.questions import Question
from audio_eval.rl.checkpoints import Large
from audio_eval.rl.error_budget import ErrorBudget
from audio_eval.rl.shared_draws import SharedDraws
from audio_eval.usage import Usage


@dataclass
class Meter:
    """What was done so far."""

    samples: int = 0  # completions drawn, greedy ones included, and given ones that were scored
    audio_seconds: float = 0.0  # audio that the model was given
    truncated: set[str] = field(default_factory=set)  # ids of questions whose recording the model cannot take whole
    failed: dict[str, str] = field(default_factory=dict)  # question id -> why it failed
    usage: dict[str, Usage] = field(default_factory=dict)  # question id -> what a server says it took
    earlier_seconds: float = 0.0  # seconds of draws that an earlier run of the command had made
    # Of audio_seconds the part of this sitting: two meters of one run may differ in it.
    given_seconds: float = field(default=0.0, compare=False)
    budget: ErrorBudget = field(default=ErrorBudget(0), compare=False)

    def made(self, groups: Sequence[Group]) -> None:
        """Add groups that the model draws or scores now."""
        self.given_seconds += sum(group.audio_seconds for group in groups)
        self.count(groups)

    def count(self, groups: Sequence[Group]) -> None:
        """Add groups that were drawn or scored, in this sitting or before it."""
        self.samples += sum(group.size for group in groups)
        self.audio_seconds += sum(group.audio_seconds for group in groups)
        for id_, used in ((group.question.id, group.usage) for group in groups if group.usage is not None):
            self.usage[id_] = self.usage.get(id_, Usage()) + used
        self.note(groups)

    def take_usage(self, ids: Iterable[str]) -> dict[str, Usage]:
        """What these questions took since it was last asked for."""
        return {id_: self.usage.pop(id_) for id_ in ids if id_ in self.usage}

    def note(self, groups: Sequence[Group]) -> None:
        """Remember the problems of groups without counting their samples; ``TooManyErrors`` where too many failed."""
        self.truncated |= {group.question.id for group in groups if group.truncated}
        self.failed |= {group.question.id: group.error for group in groups if group.error is not None}
        self.budget.check(self.failed, groups)


def metered(policy: Policy, meter: Meter, seed: int, shared: SharedDraws | None = None) -> Policy:
    """``policy``, with everything that it does counted by ``meter``; it can score or train where ``policy`` can.

    Sampling that names no seed gets the run's ``seed``. Until its training begins it draws through ``shared``.
    """
    if isinstance(policy, TrainablePolicy):
        return _MeteredTrainable(policy, meter, seed, shared)
    if isinstance(policy, ScoresCompletions):
        return _MeteredScorer(policy, meter, seed, shared)
    return _Metered(policy, meter, seed, shared)


class _Metered:
    """A Policy."""

    def __init__(self, policy: Policy, meter: Meter, seed: int, shared: SharedDraws | None) -> None:
        self._generator, self._meter, self._seed, self._shared = policy, meter, seed, shared

    @property
    def info(self) -> PolicyInfo:
        return self._generator.info

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        if sampling.seed is None:
            sampling = replace(sampling, seed=self._seed)
        if self._shared is None:
            groups = self._generator.generate(questions, sampling)
        else:
            groups, seconds = self._shared.generate(questions, sampling)
            self._meter.earlier_seconds += seconds
        self._meter.made(groups)
        return groups


class _MeteredScorer(_Metered):
    """A ScoresCompletions."""

    def __init__(self, policy: ScoresCompletions, meter: Meter, seed: int, shared: SharedDraws | None) -> None:
        super().__init__(policy, meter, seed, shared)
        self._scorer = policy

    def encode(self, question: Question, text: str) -> Group:
        return self._scorer.encode(question, text)

    def logprobs(self, groups: Sequence[Group]) -> list[Group]:
        scored = self._scorer.logprobs(groups)
        self._meter.made(scored)
        return scored


class _MeteredTrainable(_MeteredScorer):
    """A TrainablePolicy, and Large. Every method is written out: a runtime check of a protocol sees no __getattr__."""

    def __init__(self, policy: TrainablePolicy, meter: Meter, seed: int, shared: SharedDraws | None) -> None:
        super().__init__(policy, meter, seed, shared)
        self._policy = policy

    @property
    def trained_parameters(self) -> int:
        return self._policy.trained_parameters

    def begin_training(self, training: Training, seed: int) -> None:
        self._shared = None
        self._policy.begin_training(training, seed)

    def train_step(self, groups: Sequence[Group], advantages: Sequence[np.ndarray], lr_scale: float = 1.0) -> Update:
        update = self._policy.train_step(groups, advantages, lr_scale)
        gone = [group for group in groups if group.question.id in update.failed]
        self._meter.note([Group(g.question, (), (), error=update.failed[g.question.id]) for g in gone])
        return update

    def self_certainty(self, groups: Sequence[Group]) -> list[np.ndarray]:
        return self._policy.self_certainty(groups)

    def save(self, folder: Path) -> None:
        self._policy.save(folder)

    @property
    def chosen(self) -> Mapping[str, Any]:
        return self._policy.chosen if isinstance(self._policy, Large) else {}

    def checkpoint_bytes(self, weights_only: bool) -> int:
        return self._policy.checkpoint_bytes(weights_only) if isinstance(self._policy, Large) else 0

    def save_weights(self, folder: Path) -> None:
        (self._policy.save_weights if isinstance(self._policy, Large) else self._policy.save)(folder)

    def load(self, folder: Path) -> None:
        self._policy.load(folder)

    def reset(self) -> None:
        self._policy.reset()
