"""Optimizers: what they compute, what they save, and that an update is done as a whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from audio_eval.errors import UserError
from audio_eval.models.hf import optimizer as module
from audio_eval.models.hf.optimizer import OffloadedAdamW, load_optimizer, make_optimizer, save_optimizer, update
from audio_eval.models.hf.policy import HFPolicy
from tests.models.conftest import Built
from tests.models.training import MIXED, advantages_of, settings, started, trained

Parameters = list[torch.nn.Parameter]


def parameters() -> Parameters:
    """A matrix that bitsandbytes quantizes, two that it does not, and one that never has a gradient."""
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((96, 64), (7,), (3, 5), (4, 4))]


def gradients(weights: Parameters, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for weight in weights[:-1]:
        weight.grad = torch.randn(weight.shape, generator=generator)


def made(kind: str, weights: Parameters) -> torch.optim.Optimizer:
    if kind == "adamw_8bit":
        pytest.importorskip("bitsandbytes", reason='pip install "audio-eval[8bit]"')
    return make_optimizer(settings("full", optimizer=kind, lr=1e-2), weights)


def stepped(kind: str, steps: range, weights: Parameters | None = None) -> tuple[Parameters, torch.optim.Optimizer]:
    weights = weights or parameters()
    optimizer = made(kind, weights)
    for step in steps:
        gradients(weights, step)
        optimizer = update(optimizer)
    return weights, optimizer


def plain(steps: range) -> Parameters:
    """torch's own AdamW, made as it always was."""
    weights = parameters()
    optimizer = torch.optim.AdamW(weights, lr=1e-2, weight_decay=settings().weight_decay)
    for step in steps:
        gradients(weights, step)
        optimizer.step()
    return weights


def same(one: Parameters, other: Parameters) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("kind", ["adamw", "adamw_offloaded"])
def test_exact_ones_are_plain_adamw_to_the_bit(kind: str) -> None:
    weights, _ = stepped(kind, range(5))
    assert same(weights, plain(range(5))) and not same(weights, parameters())


def test_eight_bits_are_close_and_small() -> None:
    start, exact = parameters(), plain(range(5))
    weights, optimizer = stepped("adamw_8bit", range(5))
    far = [
        float(((a - b).norm() / (b - c).norm()).detach()) for a, b, c in zip(weights[:-1], exact, start, strict=False)
    ]
    assert 0 < far[0] < 0.1 and max(far[1:]) < 1e-4, "small tensors have float32 moments"
    moments = {key: value.dtype for key, value in optimizer.state[weights[0]].items() if key.startswith("state")}
    assert moments == {"state1": torch.uint8, "state2": torch.uint8}
    assert torch.equal(weights[-1], start[-1]), "no gradient, no update"


@pytest.mark.parametrize("kind", ["adamw", "adamw_offloaded", "adamw_8bit"])
def test_a_saved_optimizer_goes_on_bit_equal(kind: str, tmp_path: Path) -> None:
    whole, _ = stepped(kind, range(6))
    weights, optimizer = stepped(kind, range(3))
    names = {weight: f"w{i}" for i, weight in enumerate(weights)}
    save_optimizer(tmp_path / "file", optimizer, names)
    copies = [torch.nn.Parameter(weight.detach().clone()) for weight in weights]
    optimizer = made(kind, copies)
    load_optimizer(tmp_path / "file", optimizer, {weight: f"w{i}" for i, weight in enumerate(copies)})
    for step in range(3, 6):
        gradients(copies, step)
        optimizer = update(optimizer)
    assert same(copies, whole)


def test_moments_go_to_host_memory_where_an_update_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has been changed when that is found, and the update is the same."""
    monkeypatch.setattr(module, "reserve", _full(lambda optimizer: type(optimizer) is torch.optim.AdamW))
    weights, optimizer = stepped("adamw", range(5))
    assert isinstance(optimizer, OffloadedAdamW) and same(weights, plain(range(5)))


def test_moments_go_to_host_memory_where_they_have_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_with_moments", _full(lambda optimizer: True))
    weights, optimizer = stepped("adamw", range(3))
    assert isinstance(optimizer, OffloadedAdamW) and same(weights, plain(range(3)))


@pytest.mark.parametrize("kind", ["adamw_offloaded", "adamw_8bit"])
def test_an_update_without_room_is_not_begun(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    weights, optimizer = stepped(kind, range(2))
    before = [weight.detach().clone() for weight in weights]
    state = {
        key: value.clone() for key, value in optimizer.state[weights[0]].items() if isinstance(value, torch.Tensor)
    }
    monkeypatch.setattr(module, "reserve", _full(lambda optimizer: True))
    gradients(weights, 2)
    with pytest.raises(UserError, match=r"Nothing of this update was done.*optimizer=adamw_offloaded") as caught:
        update(optimizer)
    assert "\n" not in str(caught.value) and all(torch.equal(a, b) for a, b in zip(weights, before, strict=True))
    assert all(torch.equal(optimizer.state[weights[0]][key], value) for key, value in state.items())


def test_an_update_that_breaks_off_ends_the_training() -> None:
    _, optimizer = stepped("adamw", range(1))

    def fail(*args: Any) -> None:
        raise torch.cuda.OutOfMemoryError("injected")

    optimizer.register_step_pre_hook(fail)
    with pytest.raises(UserError, match="the weights are given up: audio-eval resume"):
        update(optimizer)


def test_the_package_for_eight_bits_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes.optim", None)
    with pytest.raises(UserError, match=r'pip install "audio-eval\[8bit\]"'):
        make_optimizer(settings("full", optimizer="adamw_8bit"), parameters())


def test_a_policy_trains_alike_with_moments_in_host_memory(omni: Built) -> None:
    results = []
    for kind in ("adamw", "adamw_offloaded"):
        policy = started(omni, settings("full", optimizer=kind, beta=0.1, inner_updates=2))
        metrics = policy.train_step(MIXED, advantages_of(MIXED)).metrics
        results.append((trained(policy), metrics))
    (one, metrics), (other, same_metrics) = results
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert metrics == same_metrics


def test_that_moments_were_moved_is_in_the_metrics(omni: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "reserve", _full(lambda optimizer: type(optimizer) is torch.optim.AdamW))
    policy: HFPolicy = started(omni, settings())
    assert policy.train_step(MIXED, advantages_of(MIXED)).metrics["moments_on_host"] == 1.0


def _full(when: Any) -> Any:
    def allocate(optimizer: torch.optim.Optimizer, *args: Any) -> Any:
        if when(optimizer):
            raise torch.cuda.OutOfMemoryError("injected")
        return optimizer

    return allocate
