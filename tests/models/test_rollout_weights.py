"""Adapters are merged while the policy samples, and at no other time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.policy import Sampling
from tests.models.checkpoints import question
from tests.models.conftest import Built
from tests.models.training import advantages_of, assert_same_gradients, names_of, settings, step

ASKED = [question(1, 0.4), question(3), question(4, 1.1)]
SAMPLED = Sampling(n=6, temperature=0.3, max_tokens=4, stream="train")


def adapted(built: Built, **engine: object) -> HFPolicy:
    """In training, with adapters that change something."""
    policy = HFPolicy("m", str(built.folder), engine=EngineSettings.model_validate(engine))
    policy.begin_training(settings("lora"), 3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter, name in names_of(policy).items():
            if "lora_B" in name:
                parameter.copy_((torch.randn(parameter.shape, generator=generator) * 0.05).to(parameter.dtype))
    return policy


def state(policy: HFPolicy) -> dict[str, tuple[int, torch.Tensor]]:
    return {name: (p.data_ptr(), p.detach().clone()) for name, p in policy.model.named_parameters()}


def assert_base(policy: HFPolicy, before: dict[str, tuple[int, torch.Tensor]]) -> None:
    """The weights are where and what they were, and peft applies the adapters."""
    for name, parameter in policy.model.named_parameters():
        assert parameter.data_ptr() == before[name][0] and torch.equal(parameter, before[name][1]), name
    assert not any(getattr(module, "merged", False) for module in policy.model.modules())


def merged_inside(
    policy: HFPolicy, monkeypatch: pytest.MonkeyPatch, then: Callable[[], None] = lambda: None
) -> list[int]:
    """How many layers were merged at each token step of ``generate``; ``then`` is called there."""
    seen: list[int] = []

    def look(*_: object) -> None:
        seen.append(sum(bool(getattr(module, "merged", False)) for module in policy.model.modules()))
        then()

    policy.checkpoint.language_model.register_forward_pre_hook(look)
    return seen


@pytest.fixture(params=["device", "host"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the second copy of the weights lies."""
    if request.param == "host":
        monkeypatch.setattr("audio_eval.models.hf.rollout_weights._free", lambda device: 0.0)
    return request.param


def test_a_step_is_that_of_unmerged_rollouts(omni: Built, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, policy = adapted(omni), adapted(omni, merge_rollouts=True)
    before, seen = state(policy), merged_inside(policy, monkeypatch)
    groups = policy.generate(ASKED, SAMPLED)
    assert plain.decoding.merged is None and groups == plain.generate(ASKED, SAMPLED)
    assert seen and set(seen) == {2 * 7}, "layers with adapters"
    assert_base(policy, before)
    del seen[:]
    assert policy.logprobs(groups) == plain.logprobs(groups)
    for one, two in zip(policy.self_certainty(groups), plain.self_certainty(groups), strict=True):
        assert np.array_equal(one, two)
    (got, _), (want, _) = step(policy, groups, advantages_of(groups)), step(plain, groups, advantages_of(groups))
    assert_same_gradients(got, want, tolerance=0)
    assert seen and not any(seen)
    assert policy.generate(ASKED, SAMPLED) == plain.generate(ASKED, SAMPLED), "of the new adapters"


def test_merged_once_for_each_state_of_the_adapters(omni: Built, tmp_path: Path) -> None:
    """And the prefill is kept as long, whatever was scored between two calls."""
    policy = adapted(omni, merge_rollouts=True)
    merged = policy.decoding.merged
    assert merged is not None
    groups = policy.generate(ASKED, SAMPLED)
    policy.save(tmp_path)
    policy.logprobs(groups)
    assert policy.generate(ASKED, SAMPLED) == groups
    assert (merged.computed, policy._prefills.computed, policy.encoder.calls) == (1, 3, 2)
    policy.train_step(groups, advantages_of(groups))
    policy.generate(ASKED, SAMPLED)
    assert (merged.computed, policy._prefills.computed) == (2, 6)
    policy.load(tmp_path)
    assert policy.generate(ASKED, SAMPLED) == groups and merged.computed == 3
    with torch.no_grad():  # no one does this, and yet it is seen
        policy.checkpoint.language_model.layers[0].mlp.down_proj.base_layer.weight.mul_(-1.0)
    assert policy.generate(ASKED, SAMPLED) != groups and merged.computed == 4
    assert policy.encoder.calls == 2, "the tower did not change"
    policy.reset()
    assert policy.decoding.merged is None


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_whatever_happens_inside(
    omni: Built, place: str, failure: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = adapted(omni, merge_rollouts=True)
    before, want = state(policy), adapted(omni).generate(ASKED, SAMPLED)

    def fail(*_: object) -> None:
        raise failure

    hook = policy.checkpoint.language_model.register_forward_pre_hook(fail)
    with pytest.raises(failure):
        policy.generate(ASKED, SAMPLED)
    hook.remove()
    assert_base(policy, before)
    assert policy.decoding.merged is not None
    layer = policy.decoding.merged._layers[5]
    with monkeypatch.context() as patch:  # half of the layers are merged
        patch.setattr(layer, "get_delta_weight", fail)
        policy.decoding.merged._made_of = None
        with pytest.raises(failure):
            policy.generate(ASKED, SAMPLED)
    assert_base(policy, before)
    assert policy.generate(ASKED, SAMPLED) == want


def test_only_on_a_gpu_unless_asked(omni: Built) -> None:
    assert adapted(omni).decoding.merged is None
    assert adapted(omni, merge_rollouts=False).decoding.merged is None


# --- bfloat16 ------------------------------------------------------------------------------------------------------


def test_merged_weights_are_rounded_once(omni: Built) -> None:
    policy = adapted(omni, merge_rollouts=True, dtype="bfloat16")
    merged = policy.decoding.merged
    assert merged is not None
    layer = merged._layers[3]
    change = layer.lora_B["default"].weight.double() @ layer.lora_A["default"].weight.double() * 2.0
    want = (layer.get_base_layer().weight.double() + change).float().bfloat16()
    with policy.decoding.weights():
        got = layer.get_base_layer().weight
        assert got.dtype == torch.bfloat16 and (got != want).float().mean() < 1e-3, "but for ties in float32"


@pytest.mark.parametrize("training", [None, True, False], ids=["direct", "merged", "unmerged"])
def test_without_autocast_where_all_weights_are_bfloat16(omni: Built, training: bool | None) -> None:
    """The numbers are those of transformers' own forward in bfloat16, to the bit where nothing is padded."""
    policy = HFPolicy("m", str(omni.folder), engine=EngineSettings(dtype="bfloat16"))
    if training is not None:
        policy = adapted(omni, dtype="bfloat16", merge_rollouts=training)
    autocast: list[bool] = []
    model = policy.checkpoint.language_model
    model.register_forward_pre_hook(lambda *_: autocast.append(torch.is_autocast_enabled("cpu")))
    policy.generate([ASKED[0]], Sampling(max_tokens=3))
    assert len(autocast) == 3 and set(autocast) == {training is False}
    if training is not False:
        kept = policy._prefills._kept
        assert kept is not None
        with torch.no_grad(), policy.decoding.weights():
            with policy._precision():
                [prompt] = policy.encoder.prompts([ASKED[0]])
            assert not isinstance(prompt, str) and prompt.embeds.dtype == torch.bfloat16
            want = model(inputs_embeds=prompt.embeds[None], use_cache=False).last_hidden_state[0, -1]
        assert torch.equal(kept.hidden_QH[0], want)
