"""Mini-batches: several optimizer updates in a step, each on some of its questions, against the policy that sampled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from audio_eval.models.hf.learner import mini_batches
from tests.models.conftest import Built
from tests.models.training import (
    MIXED,
    Gradients,
    advantages_of,
    all_logprobs,
    assert_same_gradients,
    before_each_update,
    detached,
    everything,
    gradients_of,
    record,
    reference_gradients,
    settings,
    started,
)


def test_a_step_is_cut_by_questions_whose_views_stay_together() -> None:
    one, two, three = MIXED[:3]
    groups, advantages = [one, one, two, two, three, three], [np.full(1, float(i)) for i in range(6)]
    cut = [([g.question.id for g in part], [float(a[0]) for a in values])
           for part, values in mini_batches(groups, advantages, 2)]  # fmt: skip
    ids = [group.question.id for group in groups]
    assert cut == [(ids[:4], [0, 1, 2, 3]), (ids[4:], [4, 5])] and len(set(ids)) == 3
    assert [len(part) for part, _ in mini_batches(groups, advantages, 1)] == [2, 2, 2]
    assert [len(part) for part, _ in mini_batches(groups, advantages, None)] == [6]
    assert mini_batches([], [], None) == mini_batches([], [], 3) == []


@pytest.mark.parametrize("passes", [1, 2])
def test_each_update_has_the_gradient_of_its_part_against_the_policy_before_the_step(omni: Built, passes: int) -> None:
    policy = started(omni, settings("full", mini_batch=2, inner_updates=passes, lr=2e-3, clip=0.1, beta=0.2))
    advantages = advantages_of(MIXED)
    old, base = detached(all_logprobs(omni, policy, MIXED)), detached(all_logprobs(omni, omni.policy(), MIXED))
    parts = [slice(0, 2), slice(2, 4), slice(4, 5)] * passes
    seen: list[tuple[Gradients, Gradients]] = []

    def compare() -> None:
        part = parts[len(seen)]
        want = reference_gradients(
            omni, policy, MIXED[part], advantages[part], old=old[part], base=base[part], clip=0.1, beta=0.2
        )
        seen.append((gradients_of(policy), want))

    before_each_update(policy, compare)
    stats = policy.train_step(MIXED, advantages).metrics
    assert stats["updates"] == len(seen) == 3 * passes and stats["clipped"] > 0
    for got, want in seen:
        assert_same_gradients(got, want, 1e-4)


def test_one_part_is_a_step_without_mini_batches(omni: Built) -> None:
    weights = []
    for size in (None, 5, 99):
        policy = started(omni, settings("full", mini_batch=size))
        stats = policy.train_step(MIXED, advantages_of(MIXED)).metrics
        assert stats["updates"] == 1.0
        weights.append(everything(policy))
    assert all(torch.equal(weights[0][name], other[name]) for other in weights[1:] for name in weights[0])


@pytest.mark.parametrize(("changes", "updates"), [({}, 2), ({"entropy_coef": 0.1}, 3)])
def test_a_part_without_a_gradient_makes_no_update(omni: Built, changes: dict[str, Any], updates: int) -> None:
    policy = started(omni, settings("full", mini_batch=2, **changes))
    advantages = advantages_of(MIXED)
    advantages[2], advantages[3] = np.zeros(1), np.zeros(4)
    seen = record(policy)
    assert policy.train_step(MIXED, advantages).metrics["updates"] == len(seen) == updates


def test_figures_of_a_step_count_every_part(omni: Built) -> None:
    """``truncated`` over all completions; the rest as means over the parts."""
    cut = [
        replace(g, completions=tuple(replace(c, finished=i != 0) for c in g.completions)) for i, g in enumerate(MIXED)
    ]
    policy = started(omni, settings("full", mini_batch=1, lr=1e-9))
    stats = policy.train_step(cut, advantages_of(cut)).metrics
    assert stats["truncated"] == pytest.approx(cut[0].size / sum(g.size for g in cut))
    whole = started(omni, settings("full", lr=1e-9)).train_step(cut, advantages_of(cut)).metrics
    sizes = np.array([g.size for g in cut])
    alone = [
        started(omni, settings("full", lr=1e-9)).train_step([g], [a]).metrics["loss"]
        for g, a in zip(cut, advantages_of(cut), strict=True)
    ]
    assert stats["loss"] == pytest.approx(np.mean(alone), rel=1e-3)
    assert whole["loss"] == pytest.approx(np.average(alone, weights=sizes), rel=1e-3)
