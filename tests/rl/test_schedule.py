"""Learning-rate schedules against values worked by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.models.policy import Schedule
from audio_eval.rl.schedule import lr_scale

SCHEDULES: tuple[Schedule, ...] = ("constant", "linear", "cosine")


def scales(schedule: Schedule, warmup: float, steps: int) -> list[float]:
    return [lr_scale(schedule, warmup, step, steps) for step in range(steps)]


def test_without_warmup() -> None:
    assert scales("constant", 0.0, 4) == [1.0] * 4
    assert scales("linear", 0.0, 4) == [1.0, 0.75, 0.5, 0.25]
    half = math.sqrt(0.5)  # cos(pi / 4)
    assert scales("cosine", 0.0, 4) == pytest.approx([1.0, (1 + half) / 2, 0.5, (1 - half) / 2])


def test_with_warmup() -> None:
    # 3 of 7 steps rise by quarters, the fourth has all of it, four are left to fall
    assert scales("constant", 0.4, 7) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]
    assert scales("linear", 0.4, 7) == [0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25]
    half = math.sqrt(0.5)
    assert scales("cosine", 0.4, 7) == pytest.approx([0.25, 0.5, 0.75, 1.0, (1 + half) / 2, 0.5, (1 - half) / 2])


@pytest.mark.parametrize(
    ("warmup", "steps", "rising"), [(0.03, 100, 3), (0.07, 100, 7), (0.29, 100, 29), (0.03, 10, 1)]
)
def test_a_started_step_is_a_whole_one_and_rounding_adds_none(warmup: float, steps: int, rising: int) -> None:
    assert scales("cosine", warmup, steps).index(1.0) == rising


@given(st.sampled_from(SCHEDULES), st.floats(0, 0.99), st.integers(1, 300))
def test_it_rises_then_falls_and_is_never_zero(schedule: Schedule, warmup: float, steps: int) -> None:
    found = scales(schedule, warmup, steps)
    assert all(0 < scale <= 1 for scale in found)
    top = found.index(max(found))
    assert found[: top + 1] == sorted(found[: top + 1]) and found[top:] == sorted(found[top:], reverse=True)
