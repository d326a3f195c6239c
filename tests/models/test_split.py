"""Rollouts by one engine, updates by another. The sampler here is a second hf policy, to which all is handed over as to
vLLM; tests/vllm has the same with a real vLLM.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from audio_eval.audio import AudioRef
from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.models.hf.handover import MergedWeights
from audio_eval.models.policy import Policy, Sampling, ScoresCompletions, TrainablePolicy
from audio_eval.models.split import SplitPolicy
from audio_eval.models.sync_check import Anchor, SyncCheck
from tests.models.checkpoints import question
from tests.models.conftest import Built
from tests.models.hf_sampler import HFSampler, loaded, split_of, trainer_of
from tests.models.training import advantages_of, settings, trained

ASKED = [question(1, 0.4), question(3)]
LORA = settings("lora", lr=3e-3)


def draw(policy: Policy, step: int) -> list[Group]:
    return policy.generate(ASKED, Sampling(n=6, temperature=0.6, max_tokens=5, stream=f"step{step}"))


def learn(policy: TrainablePolicy, steps: range, groups: Callable[[int], list[Group]]) -> list[dict[str, float]]:
    return [policy.train_step(found := groups(step), advantages_of(found)).metrics for step in steps]


@pytest.mark.parametrize(
    ("kind", "tune", "merge"), [("omni", "lora", False), ("omni", "full", False), ("qwen2_audio", "lora", True)]
)
def test_it_trains_bit_equal_to_hf_alone(
    build: Callable[[str], Built], kind: str, tune: str, merge: bool, tmp_path: Path
) -> None:
    built = build(kind)
    training = settings(tune, lr=3e-3 if tune == "lora" else 1e-3)
    policy, drawn = split_of(HFSampler(built, takes_adapters=tune == "lora"), built, merge), []
    policy.begin_training(training, 5)

    def groups(step: int) -> list[Group]:
        drawn.append(draw(policy, step))
        return drawn[-1]

    metrics = learn(policy, range(2), groups)
    policy.save(tmp_path / "after-two")
    metrics += learn(policy, range(2, 3), groups)
    assert "sync_agreement" not in metrics[0], "nothing was handed over before the first step's rollouts"
    for one in metrics[1:]:
        assert one["sync_agreement"] > 0.999 and one["sync_change"] > 1e-4
        assert one["sync_arrived"] == pytest.approx(1, abs=0.02)

    alone = trainer_of(built)
    alone.begin_training(training, 5)
    same = [] if merge else [draw(alone, 0)]  # the sampler's draws are those of the trained weights
    learn(alone, range(3), lambda step: drawn[step])
    assert all(drawn[0][g].completions == group.completions for g, group in enumerate(same[0] if same else []))
    want, got = trained(alone), trained(loaded(policy))
    assert want.keys() == got.keys() and all(torch.equal(want[name], got[name]) for name in want)

    resumed = split_of(HFSampler(built, takes_adapters=tune == "lora"), built, merge)
    resumed.begin_training(training, 5)
    resumed.load(tmp_path / "after-two")
    again = draw(resumed, 2)
    assert [g.completions for g in again] == [g.completions for g in drawn[2]], "with the weights of the checkpoint"
    learn(resumed, range(2, 3), lambda _: again)
    after = trained(loaded(resumed))
    assert all(torch.equal(want[name], after[name]) for name in want)


@pytest.mark.parametrize(
    ("fault", "tune", "merge"),
    [("names", "lora", False), ("mlp", "lora", False), ("stale", "lora", False), ("stale", "lora", True),
     ("stale", "full", False)],
)  # fmt: skip
def test_a_sampler_that_did_not_get_the_weights_is_found(omni: Built, fault: str, tune: str, merge: bool) -> None:
    policy = split_of(HFSampler(omni, tune == "lora", faults=[fault]), omni, merge)
    policy.begin_training(settings(tune, lr=3e-4), 5)
    groups = draw(policy, 0)  # agrees: a new adapter changes nothing
    policy.train_step(groups, advantages_of(groups))
    steps = 1
    if fault == "stale":
        draw(policy, 1)
        policy.train_step(groups, advantages_of(groups))
        steps = 2
    with pytest.raises(UserError, match=r"the sampler shows .*% of what the last updates changed") as error:
        draw(policy, steps)
    assert "\n" not in str(error.value)
    expected = "an adapter whose names do not match" if not merge and tune == "lora" else "weights were replaced"
    assert expected in str(error.value)


def test_clips_that_stay_encoded_by_the_tower_of_before_are_found(omni: Built) -> None:
    for faults in ([], ["clips"]):
        sampler = HFSampler(omni, takes_adapters=False, faults=faults)
        policy = split_of(sampler, omni)
        policy.begin_training(settings("full", train_tower=True, lr=1e-3), 5)
        groups = draw(policy, 0)
        policy.train_step(groups, advantages_of(groups))
        if faults:
            with pytest.raises(UserError, match="of the old ones"):
                draw(policy, 1)
        else:
            draw(policy, 1)
        assert sampler.given == ["weights, tower"]


def test_it_is_told_of_the_tower_only_where_that_trains(omni: Built) -> None:
    sampler = HFSampler(omni, takes_adapters=False)
    policy = split_of(sampler, omni)
    policy.begin_training(settings("full"), 5)
    groups = draw(policy, 0)
    policy.train_step(groups, advantages_of(groups))
    draw(policy, 1)
    draw(policy, 1)
    assert sampler.given == ["weights"], "once for each update"


def test_another_model_is_found_before_the_first_step(omni: Built, qwen2_audio: Built) -> None:
    policy = split_of(HFSampler(qwen2_audio), omni)
    policy.begin_training(LORA, 5)
    with pytest.raises(UserError, match=r"do not agree .*dtype and revision"):
        draw(policy, 0)


def test_the_trainer_is_loaded_only_to_train_or_score(omni: Built) -> None:
    def never() -> None:
        raise AssertionError("the trainer was loaded")

    sampler = HFSampler(omni)
    policy = SplitPolicy(sampler, never)  # type: ignore[arg-type]
    assert isinstance(policy, TrainablePolicy) and isinstance(policy, ScoresCompletions)
    policy.reset()
    assert draw(policy, 0) and policy.trained_parameters == 0 and policy.info.trainable
    with pytest.raises(AssertionError, match="was loaded"):
        policy.logprobs([])


def test_reset_gives_the_unadapted_model_back(omni: Built) -> None:
    sampler = HFSampler(omni)
    policy = split_of(sampler, omni)
    before = draw(policy, 0)
    policy.begin_training(settings(lr=3e-2), 5)
    assert "trained by hf on cpu" in policy.info.device
    groups = draw(policy, 0)
    policy.train_step(groups, advantages_of(groups))
    assert [g.completions for g in draw(policy, 0)] != [g.completions for g in before]
    policy.reset()
    assert [g.completions for g in draw(policy, 0)] == [g.completions for g in before]
    assert sampler.given == ["adapter", "dropped"] and policy.trained_parameters == 0


def test_unreadable_questions_put_the_check_off(omni: Built) -> None:
    bad = [question(1).hearing([AudioRef(data=b"no audio")])]
    policy = split_of(HFSampler(omni, faults=["names"]), omni)
    policy.begin_training(LORA, 5)
    groups = draw(split_of(HFSampler(omni), omni), 0)
    assert policy.generate(bad, Sampling())[0].error
    policy.train_step(groups, advantages_of(groups))
    assert policy.generate(bad, Sampling())[0].error
    draw(policy, 1)  # the check begins; the anchor is what both have now
    policy.train_step(groups, advantages_of(groups))
    with pytest.raises(UserError, match="names do not match"):
        draw(policy, 2)


def test_merged_weights_are_base_and_product(omni: Built) -> None:
    trainer = trainer_of(omni)
    trainer.begin_training(LORA, 5)
    groups = draw(trainer, 0)
    trainer.train_step(groups, advantages_of(groups))
    merged = dict(trainer.weights())
    assert merged.keys() == omni.weights.keys()
    changed = {name for name, tensor in merged.items() if not torch.equal(tensor, omni.weights[name])}
    assert changed and all(name.endswith("_proj.weight") and ".language_model." in name for name in changed)
    name = min(changed)
    layer = trainer.model.get_submodule(name.removesuffix(".weight"))
    product = layer.lora_B["default"].weight @ layer.lora_A["default"].weight * (8 / 4)
    assert torch.allclose(merged[name] - omni.weights[name], product, atol=1e-7)
    half = MergedWeights(trainer.model, torch.bfloat16)
    assert torch.equal(half[name], (omni.weights[name] + product).bfloat16())
    scored = [c.logprobs for g in trainer.merged_logprobs(groups) for c in g.completions]
    plain = [c.logprobs for g in trainer.logprobs(groups) for c in g.completions]
    assert all(np.allclose(one, other, atol=1e-4) for one, other in zip(scored, plain, strict=True))
    assert all(torch.equal(merged[n], t) for n, t in trainer.weights().items()), "the base is back"


# --- the statistic ----------------------------------------------------------------------------------------------------


def engines(noise: float, change: float, tokens: int = 100) -> tuple[np.ndarray, ...]:
    """Log-probabilities of the trainer before and after a change, and two draws of an engine's differences."""
    rng = np.random.default_rng(0)
    before = -rng.exponential(1.5, tokens)
    after = before + change * rng.standard_normal(tokens)
    return before, after, noise * rng.standard_normal(tokens), 0.3 * noise * rng.standard_normal(tokens)


@pytest.mark.parametrize("noise", [0.0, 1e-5, 1e-2])
@pytest.mark.parametrize("factor", [1.0, 0.3, 10.0])
def test_an_ignored_adapter_is_found_down_to_the_difference_of_the_engines(noise: float, factor: float) -> None:
    change = factor * max(noise, 1e-4)
    before, after, bias, jitter = engines(noise, change)
    for loaded_ in (True, False):
        check = SyncCheck(Anchor(before + bias, before))
        sampler = (after if loaded_ else before) + bias + jitter
        if loaded_:
            assert check.see(sampler, after, "adapter").change == pytest.approx(change, rel=0.3)
        elif factor >= 1:
            with pytest.raises(UserError, match="the sampler shows"):
                check.see(sampler, after, "adapter")


def test_changes_too_small_to_be_seen_add_up() -> None:
    before, after, bias, _ = engines(1e-2, 1.0)
    check, step = SyncCheck(Anchor(before + bias, before)), (after - before) * 1e-3
    seen = [check.see(before + bias, before + step, "adapter").arrived]
    assert seen == [None] and check.anchor is not None and np.array_equal(check.anchor.trainer, before)
    steps = iter(range(2, 12))  # long before the change is as large as the difference of the engines
    with pytest.raises(UserError, match="shows 0%"):
        deque((check.see(before + bias, before + k * step, "adapter") for k in steps), maxlen=0)
    assert next(steps) > 4, "not before it could be seen"


def test_alike_and_flat_is_no_disagreement() -> None:
    flat = np.full(20, -1e-5)
    assert SyncCheck().see(flat + 1e-7, flat, "nothing").agreement == 1
    with pytest.raises(UserError, match="Pearson 0"):
        SyncCheck().see(flat - 1, flat, "nothing")
