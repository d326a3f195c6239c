"""The training loop. Every method that trains runs this one: experience, update, log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from audio_eval.models.policy import Policy, trainable
from audio_eval.rl.experience import Experience
from audio_eval.rl.monitors import Monitors, statistics
from audio_eval.rl.schedule import lr_scale
from audio_eval.rl.session import Session
from audio_eval.rl.settings import Updates
from audio_eval.seeding import stream

T = TypeVar("T")


def batch_at(items: Sequence[T], size: int, step: int, seed: int) -> list[T]:
    """The batch of a step: ``items`` are walked through again and again, in a new random order in each epoch."""
    batch = []
    for position in range(step * size, (step + 1) * size):
        epoch, index = divmod(position, len(items))
        batch.append(items[int(stream(seed, "epoch", epoch).permutation(len(items))[index])])
    return batch


def train(policy: Policy, settings: Updates, steps: int, experience: Callable[[int], Experience], run: Session) -> None:
    """Train for ``steps`` steps. A resumed run goes on after the last step that it saved.

    The model after the last step is scored, or the one at the first step at which ``settings.stop_when`` holds.
    Raises ``UserError`` for a policy that can only generate.
    """
    learner = trainable(policy)
    learner.begin_training(settings, run.seed)
    monitors: Monitors | None = None
    for step in run.steps(learner, steps):
        monitors = monitors or Monitors(settings.stop_when, run.metrics())
        if monitors.stop:
            run.stop(learner, step, str(settings.stop_when))
            break
        found = experience(step)
        skipped = sum(not np.any(a) for a in found.advantages)
        scale = lr_scale(settings.schedule, settings.warmup, step, steps)
        update = learner.train_step(found.groups, found.advantages, scale)
        metrics = {
            **statistics([] if found.given else found.rollouts or found.groups),
            **found.metrics, "skipped_groups": skipped, **update.metrics,
        }  # fmt: skip
        metrics = {name: round(float(value), 6) for name, value in metrics.items()}
        run.log_rollouts(step + 1, found)
        for warning in monitors.see({"step": step + 1, **metrics}):
            run.warn(warning)
        run.step_done(learner, step + 1, steps, metrics)
    monitors = monitors or Monitors(settings.stop_when, run.metrics())
    if monitors.warnings:
        run.note("warnings", monitors.warnings)
