"""Weights in bfloat16 on a CPU: features stay float32; samples, scores and a training step are close to float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audio_eval.models.backends import load_policy
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import Sampling
from tests.models.checkpoints import question
from tests.models.conftest import Built
from tests.models.training import MIXED, advantages_of, both_ways, groups_of, settings, step, trained

ASKED = [question(1, 0.4), question(2, 1.3), question(3)]


def half(built: Built) -> HFPolicy:
    policy = load_policy(str(built.folder), model_args={"dtype": "bfloat16"})
    assert isinstance(policy, HFPolicy)
    return policy


def test_features_are_float32s_to_the_bit(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a thread makes them, which has no autocast of its own, or the caller, who has."""
    made: list[np.ndarray] = []
    for policy in (built.policy(), half(built), half(built)):
        policy.encoder._threads = len(made) // 2  # the last one decodes ahead
        family, features = policy.checkpoint.family, policy.checkpoint.family.features
        heard = []
        with monkeypatch.context() as patched:
            patched.setattr(family, "features", lambda *a, of=features, heard=heard: heard.append(of(*a)) or heard[-1])
            policy.generate(ASKED[:1], Sampling(max_tokens=1))
        made.append(heard[0].mel)
    assert made[0].dtype == np.float32 and all(np.array_equal(made[0], other) for other in made[1:])


def test_weights_take_half_the_memory_and_answers_are_alike(built: Built) -> None:
    exact, policy = built.policy(), half(built)
    assert {p.dtype for p in policy.model.parameters()} == {torch.bfloat16}
    for group, same in zip(exact.logprobs(MIXED), policy.logprobs(MIXED), strict=True):
        for one, other in zip(group.completions, same.completions, strict=True):
            assert other.logprobs == pytest.approx(one.logprobs, abs=0.25) and other.logprobs != one.logprobs
    sampled = policy.generate(ASKED, Sampling(n=8, temperature=0.7, max_tokens=5, stream="vote"))
    assert all(group.size == 8 and group.error is None for group in sampled)
    assert sampled == policy.generate(ASKED, Sampling(n=8, temperature=0.7, max_tokens=5, stream="vote"))


@both_ways
def test_a_training_step(built: Built, tune: str) -> None:
    """Weights in training are float32; the gradient is float32's but for the rounding of its products."""
    gradients, moved = [], []
    for policy in (built.policy(), half(built)):
        policy.begin_training(settings(tune, beta=0.1), seed=3)
        before = trained(policy)
        assert {t.dtype for t in before.values()} == {torch.float32}
        found, metrics = step(policy, MIXED, advantages_of(MIXED))
        assert metrics["updates"] == 1 and np.isfinite(metrics["loss"])
        gradients.append(torch.cat([g.flatten() for g in found.values()]))
        moved.append(any(not torch.equal(before[name], tensor) for name, tensor in trained(policy).items()))
        assert all(group.completions for group in groups_of(policy, questions=ASKED))
    assert moved == [True, True]
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.98
