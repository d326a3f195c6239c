"""Which weights are trained: adapters, the language model, or the audio tower as well; the others stay as they are."""

from __future__ import annotations

import torch

from tests.models.checkpoints import question
from tests.models.conftest import Built
from tests.models.training import (
    advantages_of,
    assert_same_gradients,
    everything,
    groups_of,
    record,
    reference_gradients,
    settings,
    started,
    trained,
)


def test_lora_trains_the_language_models_linear_layers_only(built: Built) -> None:
    policy = built.policy()
    policy.begin_training(settings(), seed=0)
    before = everything(policy)
    groups = groups_of(policy)
    policy.train_step(groups, advantages_of(groups))
    changed = {name for name, tensor in everything(policy).items() if not torch.equal(before[name], tensor)}
    # the first factor's gradient is zero as long as the second one is zero; weight decay moves it
    assert changed and all("lora_" in name for name in changed)
    sides = {name.split(".lora_")[0].removeprefix("model.") for name in before if ".lora_" in name}
    assert sides == {
        f"language_model.layers.{layer}.{part}"
        for layer in (0, 1)
        for part in (*(f"self_attn.{x}_proj" for x in "qkvo"), *(f"mlp.{x}_proj" for x in ("gate", "up", "down")))
    }


def test_full_leaves_the_frozen_parts_alone(built: Built) -> None:
    policy = built.policy()
    policy.begin_training(settings("full"), seed=0)
    before = everything(policy)
    groups = groups_of(policy)
    calls = policy.encoder.calls
    policy.train_step(groups, advantages_of(groups))
    assert policy.encoder.calls == calls, "the tower is frozen: its clips are kept"
    frozen = ("model.audio_tower.", "model.multi_modal_projector.")
    for name, tensor in everything(policy).items():
        assert torch.equal(before[name], tensor) == name.startswith(frozen), name


def test_train_tower_trains_the_tower(built: Built) -> None:
    policy = built.policy()
    policy.begin_training(settings("full", train_tower=True), seed=0)
    before = everything(policy)
    groups = groups_of(policy)
    advantages = advantages_of(groups)
    want = reference_gradients(built, policy, groups, advantages)
    assert any("audio_tower" in name and float(g.abs().max()) > 1e-6 for name, g in want.items())
    seen = record(policy)
    policy.train_step(groups, advantages)
    assert_same_gradients(seen[0], want, 3e-5)
    for name, tensor in everything(policy).items():
        unused = "audio_bos_eos_token" in name or name not in trained(policy)
        # weight decay alone moves nothing that has no gradient
        assert torch.equal(before[name], tensor) == unused, name
    # the clips are heard anew by the changed tower
    fresh = built.policy()
    fresh.model.load_state_dict(policy.model.state_dict())
    assert groups_of(fresh) == groups_of(policy)


def test_train_tower_in_micro_batches(built: Built) -> None:
    """Two completions of one clip in two micro-batches: each needs a graph of the tower of its own."""
    gradients = []
    for budget in (16384, 1):
        policy = started(built, settings("full", train_tower=True, token_budget=budget))
        groups = groups_of(policy, n=3, questions=[question(1, 0.4), question(2, 1.3)])
        assert sum(len(group.counts) for group in groups) > 2
        seen = record(policy)
        policy.train_step(groups, advantages_of(groups))
        gradients.append(seen[0])
    assert_same_gradients(gradients[1], gradients[0], 3e-5)


def test_the_start_of_the_adapters_depends_on_the_seed_alone(omni: Built) -> None:
    def start(seed: int) -> dict[str, torch.Tensor]:
        policy = omni.policy()
        torch.rand(seed + 3)
        policy.begin_training(settings(), seed)
        return trained(policy)

    one, same, other = start(1), start(1), start(2)
    assert all(torch.equal(one[n], same[n]) for n in one)
    assert any(not torch.equal(one[n], other[n]) for n in one)
