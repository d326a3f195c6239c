"""NaN and infinity in a loss, in gradients and in weights: nothing of them reaches the weights that are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from audio_eval.errors import UserError
from audio_eval.models.hf.learner import Learner
from audio_eval.models.policy import DROPPED
from tests.models.conftest import Built
from tests.models.training import advantages_of, given, names_of, settings, started, trained

NO_NUMBERS = [float("nan"), float("inf"), -float("inf")]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_an_update_from_a_loss_that_is_no_number_is_not_made(value: float, omni: Built) -> None:
    policy = started(omni, settings("lora"))
    groups = given([[3, 2], [4, 1]], [0.4, None])
    before, advantages = trained(policy), advantages_of(groups)
    bad = [np.full_like(advantages[0], value), *advantages[1:]]
    metrics = policy.train_step(groups, bad).metrics
    assert metrics[DROPPED] == 1 and metrics["updates"] == 0 and "loss" not in metrics
    assert all(np.isfinite(list(metrics.values()))) and same(trained(policy), before)
    fresh = started(omni, settings("lora"))
    assert policy.train_step(groups, advantages) == fresh.train_step(groups, advantages), "as if it had not been"
    assert same(trained(policy), trained(fresh)) and not same(trained(policy), before)
    assert DROPPED not in policy.train_step(groups, advantages).metrics


def test_only_the_mini_batch_with_a_gradient_that_is_no_number_is_dropped(
    omni: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, calls = started(omni, settings("full", mini_batch=1)), []
    real = Learner.backward

    def poisoned(self: Learner, *args: Any) -> dict[str, float]:
        found = real(self, *args)
        calls.append(found)
        if len(calls) == 2:
            next(p for p in self.parameters if p.grad is not None).grad.view(-1)[0] = float("nan")
        return found

    monkeypatch.setattr(Learner, "backward", poisoned)
    groups = given([[3, 2], [4, 1], [2, 5]], [0.4, None, 0.3])
    metrics = policy.train_step(groups, advantages_of(groups)).metrics
    assert (metrics[DROPPED], metrics["updates"]) == (1, 2)
    assert metrics["loss"] == pytest.approx((calls[0]["loss"] + calls[2]["loss"]) / 2)
    assert all(tensor.isfinite().all() for tensor in trained(policy).values())


def test_weights_that_are_no_numbers_are_given_up(omni: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = started(omni, settings("lora"))
    groups = given([[3, 2]], [None])
    real = torch.optim.AdamW.step

    def step(self: torch.optim.AdamW, *args: Any) -> None:
        real(self, *args)
        with torch.no_grad():
            next(iter(names_of(policy))).view(-1)[-1] = float("nan")

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(UserError, match=r"weights are not finite .* resume goes on from the last checkpoint"):
        policy.train_step(groups, advantages_of(groups))
