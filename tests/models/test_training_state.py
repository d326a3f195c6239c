"""The state of a training can be saved, resumed bit for bit, and undone."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from audio_eval.errors import UserError
from audio_eval.models.hf import policy as hf_policy
from audio_eval.models.hf.checkpoint import Checkpoint, load_checkpoint
from audio_eval.models.hf.policy import HFPolicy
from tests.models.checkpoints import question
from tests.models.conftest import Built
from tests.models.training import advantages_of, both_ways, groups_of, settings, started, trained


@both_ways
def test_a_saved_run_goes_on_bit_equal(built: Built, tune: str, tmp_path: Path) -> None:
    training = settings(tune, lr=1e-2, beta=0.1)
    asked = [question(1, 0.4), question(2, 1.3), question(3)]

    def step(policy: HFPolicy) -> None:
        groups = groups_of(policy, questions=asked)
        policy.train_step(groups, advantages_of(groups))

    policy = built.policy()
    policy.begin_training(training, seed=9)
    for _ in range(2):
        step(policy)
    policy.save(tmp_path / "step")
    files = {p.name for p in (tmp_path / "step").iterdir() if p.is_file()}
    assert "optimizer.safetensors" in files and any(n.startswith("adapter") for n in files)
    resumed = built.policy()
    resumed.begin_training(training, seed=9)
    resumed.load(tmp_path / "step")
    assert all(torch.equal(trained(policy)[n], t) for n, t in trained(resumed).items())
    for _ in range(2):
        step(policy)
        step(resumed)
    one, other = trained(policy), trained(resumed)
    assert one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)
    policy.save(tmp_path / "one")
    resumed.save(tmp_path / "other")
    for name in files - {"adapter_config.json"}:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes(), name


def test_the_optimizers_moments_are_part_of_the_state(omni: Built, tmp_path: Path) -> None:
    training = settings(lr=1e-2)
    policy = started(omni, training)
    groups = groups_of(policy)
    policy.train_step(groups, advantages_of(groups))
    policy.save(tmp_path)
    file = tmp_path / "optimizer.safetensors"
    moments = load_file(file)
    save_file({name: t if name.endswith("|step") else torch.zeros_like(t) for name, t in moments.items()}, file)
    other = started(omni, training)
    other.load(tmp_path)
    assert all(torch.equal(trained(policy)[name], tensor) for name, tensor in trained(other).items())
    for one in (policy, other):
        one.train_step(groups, advantages_of(groups))
    assert any(not torch.equal(trained(policy)[name], tensor) for name, tensor in trained(other).items())


@pytest.mark.parametrize(("tune", "tower"), [("lora", False), ("full", False), ("full", True)])
def test_reset_gives_the_unadapted_model_back(built: Built, tune: str, tower: bool) -> None:
    policy = built.policy()
    untouched = groups_of(policy)
    policy.begin_training(settings(tune, train_tower=tower, lr=5e-2), seed=0)
    groups = groups_of(policy)
    assert groups == untouched, "nothing is adapted yet"
    policy.train_step(groups, advantages_of(groups))
    adapted = groups_of(policy)
    assert adapted != untouched
    calls = policy.encoder.calls
    policy.reset()
    state = policy.model.state_dict()
    assert state.keys() == built.weights.keys()
    assert all(torch.equal(state[n], t) for n, t in built.weights.items())
    assert groups_of(policy) == untouched
    if not tower:
        assert policy.encoder.calls == calls, "the tower did not change: clips are kept"
    policy.begin_training(settings(tune, train_tower=tower, lr=5e-2), seed=0)
    groups = groups_of(policy)
    policy.train_step(groups, advantages_of(groups))
    assert groups_of(policy) == adapted, "a second adaptation is the first one again"


def test_reset_of_an_untrained_policy_is_nothing(omni: Built) -> None:
    policy = omni.policy()
    model = policy.model
    policy.reset()
    assert policy.model is model


def test_full_weights_are_saved_under_the_models_names(built: Built, tmp_path: Path) -> None:
    policy = started(built, settings("full"))
    policy.save(tmp_path)
    saved = load_file(tmp_path / "adapter_full.safetensors")
    assert saved.keys() <= built.weights.keys()
    assert {n.split(".")[0] for n in saved} == {"model", "lm_head"}
    assert all(n.startswith(("model.language_model.", "lm_head.")) for n in saved)


@pytest.mark.parametrize("tune", ["lora", "full"])
def test_there_are_never_two_models(omni: Built, tune: str, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = omni.policy()
    policy.begin_training(settings(tune, beta=0.1), seed=0)
    groups = groups_of(policy)
    policy.train_step(groups, advantages_of(groups))
    moments = [t for state in policy._trainer.optimizer.state.values() for t in state.values() if t.dim()]
    old, held = weakref.ref(policy.model), [weakref.ref(tensor) for tensor in moments]
    del moments
    loads: list[bool] = []

    def load(*args: Any) -> Checkpoint:
        loads.append(old() is None and not any(tensor() is not None for tensor in held))
        return load_checkpoint(*args)

    monkeypatch.setattr(hf_policy, "load_checkpoint", load)
    policy.reset()
    assert loads == ([] if tune == "lora" else [True]), "adapters are taken off, and nothing is loaded"
    assert not any(tensor() is not None for tensor in held)


def test_a_reset_that_fails_can_be_repeated(omni: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = omni.policy()
    untouched = groups_of(policy)
    policy.begin_training(settings("full"), seed=0)

    def fail(*args: Any) -> Checkpoint:
        raise UserError("the folder is gone")

    with monkeypatch.context() as patched:
        patched.setattr(hf_policy, "load_checkpoint", fail)
        with pytest.raises(UserError):
            policy.reset()
    policy.reset()
    assert groups_of(policy) == untouched
