"""The one adaptation loop: experience, update, record; every method that trains runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.models.policy import Policy, TrainablePolicy, Training
from audio_eval.rl.monitors import Monitors, statistics
from audio_eval.rl.schedule import lr_scale
from audio_eval.seeding import stream

if TYPE_CHECKING:
    from audio_eval.rl.session import Session

T = TypeVar("T")


@dataclass
class Experience:
    """What one step learns from: groups, an advantage (U,) for each of their completions, and what to log.

    For the log and the oracle alone: ``drawn`` are the groups as they were drawn, where only a part of their samples is
    learnt from; ``judged`` (U,) of each of them is the part of the reward that stands for being right, 0 to 1;
    ``labels`` are the pseudo-labels' texts by question id.
    """

    groups: list[Group]
    advantages: list[np.ndarray]
    metrics: dict[str, float] = field(default_factory=dict)
    judged: list[np.ndarray] = field(default_factory=list)
    drawn: list[Group] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


def batch_at(items: Sequence[T], size: int, step: int, seed: int) -> list[T]:
    """The ``step``-th batch of an endless walk through ``items``, each epoch in its own keyed order."""
    batch = []
    for position in range(step * size, (step + 1) * size):
        epoch, index = divmod(position, len(items))
        batch.append(items[int(stream(seed, "epoch", epoch).permutation(len(items))[index])])
    return batch


def train(
    policy: Policy, training: Training, steps: int, experience: Callable[[int], Experience], run: Session
) -> None:
    """Run ``steps`` updates; a resumed run goes on after the last one it saved.

    The step that is scored is the last one, or the first at which ``training.stop_when`` holds.
    """
    if not isinstance(policy, TrainablePolicy):
        raise UserError(f"'{policy.name}' can only generate: a method that trains needs a model of the hf backend.")
    policy.begin_training(training)
    monitors: Monitors | None = None
    for step in run.steps(policy, steps):
        monitors = monitors or Monitors(training.stop_when, run.metrics())
        if monitors.stop:
            run.stop(policy, step, str(training.stop_when))
            break
        drawn = experience(step)
        skipped = sum(not np.any(a) for a in drawn.advantages)
        scale = lr_scale(training.schedule, training.warmup, step, steps)
        stats = policy.train_step(drawn.groups, drawn.advantages, scale)
        metrics = {**statistics(drawn.drawn or drawn.groups), **drawn.metrics, "skipped_groups": skipped, **stats}
        metrics = {name: round(float(value), 6) for name, value in metrics.items()}
        run.log_rollouts(step + 1, drawn)
        for warning in monitors.see(metrics):
            run.warn(warning)
        run.step_done(policy, step + 1, steps, metrics)
    monitors = monitors or Monitors(training.stop_when, run.metrics())
    if monitors.warnings:
        run.note("warnings", monitors.warnings)
