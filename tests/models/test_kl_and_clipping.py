"""The KL penalty towards the unadapted model, and the clipped ratio in updates on the same rollouts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.checkpoints import question
from tests.models.conftest import Built
from tests.models.training import (
    Gradients,
    advantages_of,
    all_logprobs,
    assert_same_gradients,
    before_each_update,
    both_ways,
    detached,
    everything,
    gradients_of,
    groups_of,
    record,
    reference_gradients,
    settings,
    started,
)


@both_ways
def test_kl_is_zero_at_the_start_and_to_the_unadapted_model_later(built: Built, tune: str) -> None:
    beta = 0.7
    policy = built.policy()
    asked = [question(1, 0.4), question(3), question(4, 1.1)]
    base_policy = built.policy()
    policy.begin_training(settings(tune, beta=beta, lr=3e-3), seed=0)
    groups = groups_of(policy, questions=asked)
    advantages = advantages_of(groups)
    base = detached(all_logprobs(built, base_policy, groups))
    seen = record(policy)
    for step in range(3):
        want = reference_gradients(built, policy, groups, advantages, base=base, beta=beta)
        now = detached(all_logprobs(built, policy, groups))
        pairs = [(b - n) for bs, ns in zip(base, now, strict=True) for b, n in zip(bs, ns, strict=True)]
        kl = float(torch.stack([(d.exp() - d - 1).mean() for d in pairs]).mean())
        before = everything(policy)
        stats = policy.train_step(groups, advantages).metrics
        if step == 0:
            assert stats["kl"] == pytest.approx(0.0, abs=1e-9)
        else:
            assert kl > 1e-4
            assert stats["kl"] == pytest.approx(kl, rel=1e-3)
        assert_same_gradients(seen[step], want, 3e-5)
        assert any(not torch.equal(before[n], t) for n, t in everything(policy).items())


def test_with_kl_a_zero_advantage_still_counts(built: Built) -> None:
    """The KL holds every sample: leaving out those of advantage 0 would bend the gradient."""
    beta = 0.7
    policy = started(built, settings(beta=beta))
    groups = groups_of(policy, questions=[question(1, 0.4), question(3)])
    base = detached(all_logprobs(built, built.policy(), groups))
    advantages = advantages_of(groups)
    advantages[0] = np.zeros_like(advantages[0])
    advantages[1][0] = 0.0
    want = reference_gradients(built, policy, groups, advantages, base=base, beta=beta)
    seen = record(policy)
    policy.train_step(groups, advantages)
    assert_same_gradients(seen[0], want, 3e-5)


@both_ways
def test_inner_updates_clip_the_ratio(built: Built, tune: str) -> None:
    policy = started(built, settings(tune, inner_updates=2, lr=2e-2, clip=0.1))
    groups = groups_of(policy, questions=[question(1, 0.4), question(2, 1.1)])
    advantages = advantages_of(groups)
    old = detached(all_logprobs(built, policy, groups))
    seen: list[tuple[Gradients, Gradients]] = []

    def compare() -> None:
        seen.append((gradients_of(policy), reference_gradients(built, policy, groups, advantages, old=old, clip=0.1)))

    before_each_update(policy, compare)
    stats = policy.train_step(groups, advantages).metrics
    assert len(seen) == 2 and 0 < stats["clipped"] < 1
    for got, want in seen:
        assert_same_gradients(got, want, 1e-4)
    # the same step without clipping differs, or the test shows nothing
    other = started(built, settings(tune, inner_updates=2, lr=2e-2, clip=100.0))
    plain = record(other)
    other.train_step(groups, advantages)
    with pytest.raises(AssertionError):
        assert_same_gradients(plain[1], seen[1][1], 1e-3)
