"""The reference of the KL term under full fine-tuning: exact, in bfloat16 where that is exact, swapped in uncopied."""

from __future__ import annotations

import pytest
import torch

from audio_eval.models.hf.reference import Reference
from tests.models.conftest import Built
from tests.models.training import MIXED, advantages_of, settings, started, trained


def test_bfloat16_where_it_loses_nothing() -> None:
    half = torch.nn.Parameter(torch.randn(8, 4).bfloat16().float())
    exact = torch.nn.Parameter(torch.randn(8, 4))
    start, reference = [half.detach().clone(), exact.detach().clone()], Reference([half, exact])
    assert reference.bytes == 32 * 2 + 32 * 4
    with torch.no_grad():
        half.add_(1.0), exact.add_(1.0)
    places, values = [half.data_ptr(), exact.data_ptr()], [half.detach().clone(), exact.detach().clone()]
    with reference.in_place():
        assert torch.equal(half, start[0]) and torch.equal(exact, start[1]) and half.dtype == torch.float32
    assert [half.data_ptr(), exact.data_ptr()] == places, "their own tensors are back, not copies"
    assert torch.equal(half, values[0]) and torch.equal(exact, values[1])


def test_the_weights_are_back_after_an_error() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    reference = Reference([weight])
    with torch.no_grad():
        weight.mul_(2)
    with pytest.raises(ValueError, match="injected"), reference.in_place():
        raise ValueError("injected")
    assert torch.equal(weight, torch.full((3,), 2.0))


def test_the_kl_is_zero_at_the_start_and_grows(omni: Built) -> None:
    policy = started(omni, settings("full", beta=0.1, lr=1e-2))
    first = policy.train_step(MIXED, advantages_of(MIXED)).metrics["kl"]
    before = trained(policy)
    second = policy.train_step(MIXED, advantages_of(MIXED)).metrics["kl"]
    assert first == 0.0 and second > 1e-3
    assert any(not torch.equal(before[name], tensor) for name, tensor in trained(policy).items())
