"""The temperature that a completion was sampled at goes with it into the loss (the loss itself: test_objectives.py)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audio_eval.group import Group
from audio_eval.models.policy import Sampling
from tests.models.checkpoints import question
from tests.models.conftest import Built
from tests.models.test_objectives import TEMPERED, samples
from tests.models.training import advantages_of, all_logprobs, settings, started


@pytest.mark.parametrize(("asked", "scored"), [(0.5, 0.5), (1.0, 1.0), (2.0, 2.0), (0.0, 1.0)])
def test_a_group_knows_the_distribution_it_came_from(omni: Built, asked: float, scored: float) -> None:
    """Greedy completions came from none: they are scored like given ones."""
    policy = omni.policy()
    (group,) = policy.generate([question(1, 0.4)], Sampling(n=6, temperature=asked, max_tokens=4, seed=0))
    assert group.temperature == scored
    assert Group.from_json(group.to_json(), group.question) == group
    given = policy.encode(group.question, "a dog")
    assert given.temperature == 1.0 and group.joined(given).temperature == scored
    assert group.part(2, np.random.default_rng(0)).temperature == scored


def test_the_policy_that_sampled_has_the_log_probabilities_of_its_draws(omni: Built) -> None:
    """Softmax(logits / T) is what the sampler inverts; at T = 1 the same tokens have other probabilities."""
    policy = started(omni, settings("full"))
    groups = policy.generate([question(1, 0.4), question(3)], Sampling(n=8, temperature=0.5, max_tokens=4, seed=0))
    batch = policy._scorer.batch(groups, [range(len(g.completions)) for g in groups])
    got = policy._scorer.logprobs(batch)
    with torch.no_grad():
        rows = samples(omni, policy, groups)
        want = [rows[at][0] for at in np.cumsum([n for g in groups for n in g.counts]) - 1]
        plain = [rows[at] for rows, g in zip(all_logprobs(omni, policy, groups), groups, strict=True)
                 for at in np.cumsum(g.counts) - 1]  # fmt: skip
    for found, expected, other in zip(got, want, plain, strict=True):
        assert torch.allclose(found, expected, rtol=1e-5, atol=2e-5)
        assert not torch.allclose(found, other, atol=1e-2)


def test_the_entropy_in_the_log_is_that_of_the_tempered_distributions(omni: Built) -> None:
    policy = started(omni, settings("full"))
    with torch.no_grad():
        rows = samples(omni, policy, TEMPERED)
    tokens = sum(len(entropy) for _, entropy in rows)
    stats = policy.train_step(TEMPERED, advantages_of(TEMPERED)).metrics
    assert stats["entropy"] == pytest.approx(float(sum(entropy.sum() for _, entropy in rows)) / tokens, rel=1e-4)
