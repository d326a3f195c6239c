"""Learning rate schedules."""

from __future__ import annotations

import math

from audio_eval.models.policy import Schedule


def lr_scale(schedule: Schedule, warmup: float, step: int, steps: int) -> float:
    """The factor in (0, 1] of the learning rate at ``step`` (0 to ``steps`` - 1). ``warmup`` is a share of the steps.

    In the first W = ceil(warmup steps) steps it rises as (step + 1) / (W + 1), so that the step after them has 1. From
    there ``linear`` and ``cosine`` (half a wave) fall to a zero that would come right after the last step, as in
    transformers' ``get_linear_schedule_with_warmup`` and ``get_cosine_schedule_with_warmup``.
    """
    rising = math.ceil(round(warmup * steps, 9))  # .07 of 100 steps is 7.000000000000001
    if step < rising:
        return (step + 1) / (rising + 1)
    if schedule == "constant":
        return 1.0
    done = (step - rising) / (steps - rising)
    return 1 - done if schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
