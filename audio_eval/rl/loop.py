"""The training loop. Every method that trains runs this one: experience, update, log."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from audio_eval.errors import UserError
from audio_eval.models.policy import DROPPED, Policy, trainable
from audio_eval.rl.experience import Experience
from audio_eval.rl.monitors import Monitors, statistics
from audio_eval.rl.schedule import lr_scale
from audio_eval.rl.session import Session
from audio_eval.rl.settings import Updates
from audio_eval.seeding import stream

T = TypeVar("T")
MOST_DROPPED = 3  # steps in a row that drop an update, before the training stops


def batch_at(items: Sequence[T], size: int, step: int, seed: int) -> list[T]:
    """The batch of a step: ``items`` are walked through again and again, in a new random order in each epoch.

    No item is in a batch twice: an epoch that begins within a batch begins with items that are not in it yet. Fewer
    items than ``size`` are all in every batch.
    """
    count = len(items)
    size = min(size, count)
    epoch, begin = divmod(step * size, count)
    period = size // math.gcd(size, count)  # of so many epochs, the first begins with a batch
    order = _epoch(count, size, epoch - epoch % period, [], seed)
    for later in range(epoch - epoch % period + 1, epoch + 1):
        order = _epoch(count, size, later, order[count - later * count % size :], seed)
    batch = order[begin : begin + size]
    if len(batch) < size:
        batch += _epoch(count, size, epoch + 1, batch, seed)[: size - len(batch)]
    return [items[i] for i in batch]


def _epoch(count: int, size: int, epoch: int, taken: Sequence[int], seed: int) -> list[int]:
    """The items of an epoch in their order; those ``taken`` by the batch in which it begins come after that batch."""
    order = stream(seed, "epoch", epoch).permutation(count)
    first = order[~np.isin(order, taken)][: size - len(taken)]
    return [*first.tolist(), *order[~np.isin(order, first)].tolist()]


def steps_of(epochs: int, items: int, size: int) -> int:
    """How many batches ``epochs`` passes over so many items take, the last one filled up from a further pass."""
    return math.ceil(epochs * items / min(size, items)) if items else 0


def train(policy: Policy, settings: Updates, steps: int, experience: Callable[[int], Experience], run: Session) -> None:
    """Train for ``steps`` steps. A resumed run goes on after the last step that it saved.

    The model after the last step is scored, or the one at the first step at which ``settings.stop_when`` holds.
    Raises ``UserError`` for a policy that can only generate, and after ``MOST_DROPPED`` steps in a row that dropped an
    update, with the checkpoint before the last of them kept.
    """
    learner = trainable(policy)
    learner.begin_training(settings, run.seed)
    monitors: Monitors | None = None
    dropped: list[bool] = []  # for each step so far
    for step in run.steps(learner, steps):
        if monitors is None:
            before = run.metrics()
            monitors, dropped = Monitors(settings.stop_when, before), [DROPPED in metrics for metrics in before]
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
        metrics = {name: round(float(value), 6) for name, value in metrics.items() if math.isfinite(value)}
        dropped.append(DROPPED in metrics)
        if dropped[-1]:
            _check_dropped(step + 1, dropped, run)
        run.log_rollouts(step + 1, found)
        for warning in monitors.see({"step": step + 1, **metrics}):
            run.warn(warning)
        run.step_done(learner, step + 1, steps, metrics)
    monitors = monitors or Monitors(settings.stop_when, run.metrics())
    if monitors.warnings:
        run.note("warnings", monitors.warnings)
    if counted := sum(DROPPED in metrics for metrics in run.metrics()):
        run.note("dropped_steps", counted)


def _check_dropped(step: int, dropped: Sequence[bool], run: Session) -> None:
    """Say that a step dropped an update; ``UserError`` where too many in a row did."""
    if not all(dropped[-MOST_DROPPED:]) or len(dropped) < MOST_DROPPED:
        run.warn(f"step {step}: the loss or the gradient is not finite (NaN or infinite): that update is not made.")
        return
    raise UserError(
        f"the loss or the gradient of {MOST_DROPPED} steps in a row, up to step {step}, is not finite (NaN or "
        "infinite). The last checkpoint is, and is kept: --adapter RUN_DIR evaluates it. A smaller lr may help."
    )
