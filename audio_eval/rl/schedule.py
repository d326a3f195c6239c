"""How the learning rate goes over the steps of an adaptation."""

from __future__ import annotations

import math

from audio_eval.models.policy import Schedule


def lr_scale(schedule: Schedule, warmup: float, step: int, steps: int) -> float:
    """The factor, in (0, 1], of the learning rate at ``step`` of 0 .. ``steps`` - 1; ``warmup`` is a share of them.

    Over the first W = ceil(warmup steps) steps it is (step + 1) / (W + 1): a line from zero, which no step has, to the
    first step behind it, which has 1. From there ``linear`` and ``cosine`` (half a wave) fall to the zero that would
    come after the last step, as in transformers' ``get_linear_schedule_with_warmup`` and ``get_cosine_...``.
    """
    rising = math.ceil(round(warmup * steps, 9))  # .07 of 100 steps is 7.000000000000001
    if step < rising:
        return (step + 1) / (rising + 1)
    if schedule == "constant":
        return 1.0
    done = (step - rising) / (steps - rising)
    return 1 - done if schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
