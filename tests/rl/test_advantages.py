from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.rl.advantages import (
    CONFIDENCE_WEIGHTS,
    EPS,
    completion_means,
    group_advantages,
    joint_advantages,
    reward_std,
)

ROOT3_2 = math.sqrt(3) / 2


@pytest.mark.parametrize(
    ("rewards", "expected"),
    [
        # mean 1/4, std (ddof 1) sqrt((9 + 3) / 16 / 3) = 1/2
        ([1, 0, 0, 0], [1.5, -0.5, -0.5, -0.5]),
        # mean 1/2, std sqrt(4 / 4 / 3) = 0.577; with ddof 0 it would be +-1
        ([1, 1, 0, 0], [ROOT3_2, ROOT3_2, -ROOT3_2, -ROOT3_2]),
        ([1, 1, 1, 0], [0.5, 0.5, 0.5, -1.5]),
        ([0, 0, 0, 0], [0, 0, 0, 0]),
        ([1, 1, 1, 1], [0, 0, 0, 0]),
    ],
)
def test_grpo_of_four_binary_rewards(rewards: list[float], expected: list[float]) -> None:
    advantages = group_advantages(np.array(rewards, float), np.ones(4, int))
    assert advantages == pytest.approx(expected, abs=1e-3)
    if not any(expected):
        assert not advantages.any(), "exactly zero: such a group is skipped"


def test_the_epsilon_is_trls() -> None:
    assert EPS == 1e-4
    assert group_advantages(np.array([1.0, 0.0]), np.array([1, 3]))[0] == pytest.approx(0.75 / (0.5 + 1e-4), rel=1e-12)


def test_counts_are_samples() -> None:
    # 1 of 4 right, the three wrong ones alike
    assert group_advantages(np.array([1.0, 0.0]), np.array([1, 3])) == pytest.approx([1.5, -0.5], abs=1e-3)
    assert reward_std(np.array([1.0, 0.0]), np.array([2, 2])) == pytest.approx(math.sqrt(1 / 3))


def test_small_groups() -> None:
    assert group_advantages(np.array([]), np.array([], int)).shape == (0,)
    assert reward_std(np.array([2.0]), np.array([1])) == 0.0
    assert group_advantages(np.array([2.0]), np.array([1])) == pytest.approx([0.0])


multisets = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.integers(1, 40)), min_size=1, max_size=6)


@given(multisets)
def test_a_multiset_is_the_expanded_list(pairs: list[tuple[float, int]]) -> None:
    rewards, counts = np.array([r for r, _ in pairs]), np.array([n for _, n in pairs])
    expanded = np.repeat(rewards, counts)
    std = expanded.std(ddof=1) if len(expanded) > 1 else 0.0
    advantages = group_advantages(rewards, counts)
    assert reward_std(rewards, counts) == pytest.approx(std, abs=1e-12)
    assert np.repeat(advantages, counts) == pytest.approx((expanded - expanded.mean()) / (std + 1e-4), abs=1e-9)
    assert (advantages * counts).sum() == pytest.approx(0.0, abs=1e-9)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=5), min_size=1, max_size=6))
def test_rewards_of_samples_are_normalised_before_copies_are_averaged(samples: list[list[float]]) -> None:
    rewards, counts = np.concatenate(samples), np.array([len(of_one) for of_one in samples])
    std = rewards.std(ddof=1) if len(rewards) > 1 else 0.0
    each = np.split((rewards - rewards.mean()) / (std + EPS), np.cumsum(counts)[:-1])
    assert group_advantages(rewards, counts) == pytest.approx([of_one.mean() for of_one in each], abs=1e-9)
    assert completion_means(rewards, counts) == pytest.approx([np.mean(of_one) for of_one in samples])
    joint = joint_advantages([rewards, rewards], [counts, counts])
    assert [len(of_view) for of_view in joint] == [len(counts)] * 2


@pytest.mark.parametrize(
    ("name", "at_0", "at_quarter", "at_1"),
    [
        ("none", 1.0, 1.0, 1.0),
        ("linear", 0.0, 0.25, 1.0),
        ("sqrt", 0.0, 0.5, 1.0),
        ("exp", 1.0, 1.2840254, 2.7182818),
        ("exp_minus_1", 0.3678794, 0.4723666, 1.0),
    ],
)
def test_confidence_weights(name: str, at_0: float, at_quarter: float, at_1: float) -> None:
    weight = CONFIDENCE_WEIGHTS[name]
    assert [weight(0.0), weight(0.25), weight(1.0)] == pytest.approx([at_0, at_quarter, at_1])
    assert len(CONFIDENCE_WEIGHTS) == 5
