"""Training: the gradient of the plain repeated-prompt forward, and a state that can be saved, resumed and undone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from safetensors.torch import load_file

from audio_eval.audio import AudioRef
from audio_eval.group import Completion, Group
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import Sampling, Training
from audio_eval.questions import Question
from tests.models.checkpoints import CLASSES, model_inputs, question
from tests.models.conftest import Built

UNCLIPPED = 1e9  # max_grad_norm: gradients are compared as they are
Gradients = dict[str, torch.Tensor]


def settings(tune: str = "lora", **other: Any) -> Training:
    chosen: dict[str, Any] = {"tune": tune, "lora_r": 4, "lora_alpha": 8, "lr": 1e-3, "max_grad_norm": UNCLIPPED}
    return Training(**chosen | other)


def started(built: Built, training: Training) -> HFPolicy:
    """A policy in training; LoRA's second factor starts at zero, so give it values or half the gradient is zero."""
    policy = built.policy()
    policy.begin_training(training, 3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter, name in policy._names.items():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return policy


def groups_of(policy: HFPolicy, n: int = 8, questions: Sequence[Question] | None = None) -> list[Group]:
    """Sampled groups with repeated completions: clips of several lengths, one question without audio."""
    asked = questions or [question(1, 0.4), question(2, 1.3), question(3), question(4, 2.1)]
    sampled = policy.generate(asked, Sampling(n=n, temperature=0.15, max_tokens=5, stream="train"))
    return [of_several_lengths(group, policy) for group in sampled]


def of_several_lengths(group: Group, policy: HFPolicy) -> Group:
    """Every third completion cut to two tokens; none with a placeholder, which transformers' own forward trips over."""
    media = set(policy.tokenizer.convert_tokens_to_ids(["<|AUDIO|>", "<|IMAGE|>", "<|VIDEO|>"]))
    counts: dict[tuple[int, ...], int] = {}
    for u, (completion, count) in enumerate(zip(group.completions, group.counts, strict=True)):
        tokens = completion.tokens[:2] if u % 3 == 1 else completion.tokens
        if not media & set(tokens):
            counts[tokens] = counts.get(tokens, 0) + count
    completions = tuple(Completion(policy.tokenizer.decode(tokens), tokens) for tokens in counts)
    return Group(group.question, completions, tuple(counts.values()))


def advantages_of(groups: Sequence[Group]) -> list[np.ndarray]:
    return [np.random.default_rng(i).normal(size=len(group.counts)) for i, group in enumerate(groups)]


def record(policy: HFPolicy) -> list[Gradients]:
    """The gradients that each optimizer step is about to use."""
    seen: list[Gradients] = []
    assert policy._optimizer is not None
    step = policy._optimizer.step

    def noting() -> None:
        seen.append({n: p.grad.clone() for p, n in policy._names.items() if p.grad is not None})
        step()

    policy._optimizer.step = noting  # type: ignore[method-assign, assignment]
    return seen


def all_logprobs(built: Built, policy: HFPolicy, groups: Sequence[Group]) -> list[list[torch.Tensor]]:
    """Log-probabilities (T,) of each *sample* of each group by the whole model's forward, prompt and all."""
    rows: list[list[torch.Tensor]] = []
    for group in groups:
        inputs = model_inputs(built.kind, policy.tokenizer, policy.encoder.checkpoint.extractor, group.question)
        prompt = inputs["input_ids"]
        rows.append([])
        for completion, count in zip(group.completions, group.counts, strict=True):
            ids = torch.cat([prompt, torch.tensor([completion.tokens])], dim=1)
            for _ in range(count):
                logits = policy.model(**inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}).logits
                logprobs = torch.log_softmax(logits[0, prompt.shape[1] - 1 : -1].float(), dim=-1)
                rows[-1].append(logprobs[torch.arange(len(completion.tokens)), torch.tensor(completion.tokens)])
    return rows


def detached(rows: list[list[torch.Tensor]]) -> list[list[torch.Tensor]]:
    return [[row.detach() for row in group] for group in rows]


def reference_gradients(
    built: Built,
    policy: HFPolicy,
    groups: Sequence[Group],
    advantages: Sequence[np.ndarray],
    old: list[list[torch.Tensor]] | None = None,
    base: list[list[torch.Tensor]] | None = None,
    clip: float = 0.2,
    beta: float = 0.0,
) -> Gradients:
    """GRPO as it is written in the paper: the mean over samples of the mean over tokens, every sample its own row."""
    loss = torch.zeros(())
    samples = 0
    for g, rows in enumerate(all_logprobs(built, policy, groups)):
        repeated = np.repeat(advantages[g], groups[g].counts)
        for s, logprobs in enumerate(rows):
            before = logprobs.detach() if old is None else old[g][s]
            ratio = torch.exp(logprobs - before)
            advantage = float(repeated[s])
            gain = torch.minimum(ratio * advantage, torch.clamp(ratio, 1 - clip, 1 + clip) * advantage)
            if base is not None:
                away = base[g][s] - logprobs
                gain = gain - beta * (torch.exp(away) - away - 1)
            loss = loss - gain.mean()
            samples += 1
    parameters = list(policy._names)
    found = torch.autograd.grad(loss / samples, parameters, allow_unused=True)
    return {policy._names[p]: g for p, g in zip(parameters, found, strict=True) if g is not None}


def assert_same_gradients(got: Gradients, want: Gradients, tolerance: float = 1e-5) -> None:
    assert want and any(float(g.abs().max()) > 1e-6 for g in want.values())
    assert got.keys() == want.keys()
    whole = torch.sqrt(sum((g.double() ** 2).sum() for g in want.values()))
    for name, gradient in want.items():
        difference = (got[name].double() - gradient.double()).norm()
        # per tensor against its own norm; those that are zero but for rounding against the whole gradient's
        assert difference <= tolerance * max(gradient.double().norm(), 1e-3 * whole), name


def trained(policy: HFPolicy) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for parameter, name in policy._names.items()}


def everything(policy: HFPolicy) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in policy.model.state_dict().items()}


both_ways = pytest.mark.parametrize("tune", ["lora", "full"])


# --- the gradient --------------------------------------------------------------------------------------------------


@both_ways
def test_the_gradient_is_that_of_repeated_prompts(built: Built, tune: str) -> None:
    policy = started(built, settings(tune))
    groups = groups_of(policy)
    assert any(len(g.counts) > 1 and max(g.counts) > 1 for g in groups), "the multiset must matter"
    assert len({len(c.tokens) for g in groups for c in g.completions}) > 1
    advantages = advantages_of(groups)
    want = reference_gradients(built, policy, groups, advantages)
    seen = record(policy)
    stats = policy.train_step(groups, advantages).metrics
    assert_same_gradients(seen[0], want)
    norm = float(torch.sqrt(sum((g**2).sum() for g in want.values())))
    assert stats["grad_norm"] == pytest.approx(norm, rel=1e-4)


def test_completions_of_several_lengths(built: Built) -> None:
    """Given tokens, so that both classes see 1 to 6 of them, finished and cut."""
    policy = started(built, settings("full"))
    rng = np.random.default_rng(0)
    groups = []
    for i, seconds in enumerate([0.2, 1.1, None]):
        completions = tuple(
            Completion("", tuple(rng.integers(20, 300, length).tolist()), finished=length != 6) for length in (1, 6, 3)
        )
        groups.append(Group(question(i, seconds), completions, (2, 1, 3)))
    advantages = advantages_of(groups)
    want = reference_gradients(built, policy, groups, advantages)
    seen = record(policy)
    policy.train_step(groups, advantages)
    assert_same_gradients(seen[0], want)


@both_ways
@pytest.mark.parametrize("budget", [1, 300])
def test_the_micro_batch_does_not_change_the_gradient(built: Built, tune: str, budget: int) -> None:
    gradients = []
    for token_budget in (16384, budget):
        policy = started(built, settings(tune, token_budget=token_budget))
        groups = groups_of(policy)
        seen = record(policy)
        stats = policy.train_step(groups, advantages_of(groups)).metrics
        gradients.append((seen[0], stats))
    assert_same_gradients(gradients[1][0], gradients[0][0])
    for key in ("loss", "kl", "clipped", "grad_norm"):
        assert gradients[1][1][key] == pytest.approx(gradients[0][1][key], rel=1e-4, abs=1e-6)


def test_zero_advantages_cost_nothing_and_stay_in_the_mean(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = started(built, settings())
    groups = groups_of(policy)
    advantages = advantages_of(groups)
    advantages[1] = np.zeros_like(advantages[1])
    advantages[3][0] = 0.0
    want = reference_gradients(built, policy, groups, advantages)
    asked: list[str] = []
    prompts = policy.encoder.prompts

    def noting(questions: Sequence[Question]) -> list[Any]:
        asked.extend(q.id for q in questions)
        return prompts(questions)

    monkeypatch.setattr(policy.encoder, "prompts", noting)
    seen = record(policy)
    policy.train_step(groups, advantages)
    assert_same_gradients(seen[0], want)
    assert groups[1].question.id not in asked and groups[0].question.id in asked


def test_a_step_without_advantages_changes_nothing(built: Built) -> None:
    policy = started(built, settings())
    groups = groups_of(policy)
    before = everything(policy)
    seen = record(policy)
    stats = policy.train_step(groups, [np.zeros(len(g.counts)) for g in groups]).metrics
    assert not seen and set(stats.values()) == {0.0}
    assert all(torch.equal(before[name], tensor) for name, tensor in everything(policy).items())


def test_a_group_that_could_not_be_asked_is_no_obstacle(built: Built) -> None:
    policy = started(built, settings())
    groups = groups_of(policy)
    advantages = advantages_of(groups)
    want = reference_gradients(built, policy, groups, advantages)
    empty = Group(question(77), (), (), error="unreadable")
    seen = record(policy)
    policy.train_step([empty, *groups], [np.zeros(0), *advantages])
    assert_same_gradients(seen[0], want)


def test_an_example_with_unreadable_audio_is_named_and_stays_in_the_mean(built: Built) -> None:
    policy = started(built, settings())
    groups = groups_of(policy)
    advantages = advantages_of(groups)
    samples = sum(group.size for group in groups)
    want = reference_gradients(built, policy, groups, advantages)
    broken = Question("broken", AudioRef(data=b"no audio"), "", (), "?")
    seen = record(policy)
    update = policy.train_step([policy.encode(broken, "a dog"), *groups], [np.ones(1), *advantages])
    assert_same_gradients(seen[0], {n: g * samples / (samples + 1) for n, g in want.items()})
    assert update.failed.keys() == {"broken"}


def test_the_gradient_norm_is_clipped(omni: Built) -> None:
    policy = started(omni, settings(max_grad_norm=1e-3))
    groups = groups_of(policy)
    seen = record(policy)
    stats = policy.train_step(groups, advantages_of(groups)).metrics
    assert stats["grad_norm"] > 1e-3
    assert float(torch.sqrt(sum((g**2).sum() for g in seen[0].values()))) == pytest.approx(1e-3, rel=1e-2)


# --- supervised tuning ---------------------------------------------------------------------------------------------


@both_ways
def test_sft_has_the_gradient_of_the_mean_nll(built: Built, tune: str) -> None:
    policy = started(built, settings(tune))
    asked = question(2, 0.9)
    group = policy.encode(asked, "<answer>a dog</answer>")
    [completion] = group.completions
    assert group.counts == (1,) and completion.finished
    assert completion.tokens[-1] == policy.tokenizer.eos_token_id
    assert policy.tokenizer.decode(list(completion.tokens[:-1])) == "<answer>a dog</answer>"
    inputs = model_inputs(built.kind, policy.tokenizer, policy.encoder.checkpoint.extractor, asked)
    ids = torch.cat([inputs["input_ids"], torch.tensor([completion.tokens])], dim=1)
    labels = ids.clone()
    labels[:, : inputs["input_ids"].shape[1]] = -100
    nll = policy.model(
        **inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, labels=labels
    ).loss  # transformers' own
    found = torch.autograd.grad(nll, list(policy._names), allow_unused=True)
    want = {n: g for n, g in zip(policy._names.values(), found, strict=True) if g is not None}
    seen = record(policy)
    policy.train_step([group], [np.ones(1)])
    assert_same_gradients(seen[0], want)


def test_sft_of_several_examples_is_the_mean_of_their_nll(built: Built) -> None:
    policy = started(built, settings())
    texts = ["a dog", "<answer>the bell</answer>", ""]
    groups = [policy.encode(question(i, 0.5 + i), text) for i, text in enumerate(texts)]
    rows = all_logprobs(built, policy, groups)
    nll = torch.stack([-row.mean() for [row] in rows]).mean()
    found = torch.autograd.grad(nll, list(policy._names), allow_unused=True)
    want = {n: g for n, g in zip(policy._names.values(), found, strict=True) if g is not None}
    seen = record(policy)
    policy.train_step(groups, [np.ones(1)] * 3)
    assert_same_gradients(seen[0], want)


# --- what is trained and what is not -------------------------------------------------------------------------------


def test_lora_trains_the_language_models_linear_layers_only(built: Built) -> None:
    policy = built.policy()
    policy.begin_training(settings(), 3)
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
    policy.begin_training(settings("full"), 3)
    before = everything(policy)
    groups = groups_of(policy)
    calls = policy.encoder.calls
    policy.train_step(groups, advantages_of(groups))
    assert policy.encoder.calls == calls, "the tower is frozen: its clips are kept"
    frozen = ("model.audio_tower.", "model.visual.", "model.multi_modal_projector.")
    for name, tensor in everything(policy).items():
        assert torch.equal(before[name], tensor) == name.startswith(frozen), name


def test_train_tower_trains_the_tower(built: Built) -> None:
    policy = built.policy()
    policy.begin_training(settings("full", train_tower=True), 3)
    before = everything(policy)
    groups = groups_of(policy)
    advantages = advantages_of(groups)
    want = reference_gradients(built, policy, groups, advantages)
    assert any("audio_tower" in name and float(g.abs().max()) > 1e-6 for name, g in want.items())
    seen = record(policy)
    policy.train_step(groups, advantages)
    assert_same_gradients(seen[0], want, 3e-5)
    for name, tensor in everything(policy).items():
        unused = name.startswith("model.visual.") or "audio_bos_eos_token" in name or name not in policy._names.values()
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


# --- KL and ratios -------------------------------------------------------------------------------------------------


@both_ways
def test_kl_is_zero_at_the_start_and_to_the_unadapted_model_later(built: Built, tune: str) -> None:
    beta = 0.7
    policy = built.policy()
    asked = [question(1, 0.4), question(3), question(4, 1.1)]
    base_policy = built.policy()
    policy.begin_training(settings(tune, beta=beta, lr=3e-3), 3)
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
    assert policy._optimizer is not None
    step = policy._optimizer.step

    def compare() -> None:
        got = {n: p.grad.clone() for p, n in policy._names.items() if p.grad is not None}
        seen.append((got, reference_gradients(built, policy, groups, advantages, old=old, clip=0.1)))
        step()

    policy._optimizer.step = compare  # type: ignore[method-assign, assignment]
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


# --- state ---------------------------------------------------------------------------------------------------------


@both_ways
def test_a_saved_run_goes_on_bit_equal(built: Built, tune: str, tmp_path: Path) -> None:
    training = settings(tune, lr=1e-2, beta=0.1)
    asked = [question(1, 0.4), question(2, 1.3), question(3)]

    def step(policy: HFPolicy) -> None:
        groups = groups_of(policy, questions=asked)
        policy.train_step(groups, advantages_of(groups))

    policy = built.policy()
    policy.begin_training(training, 3)
    for _ in range(2):
        step(policy)
    policy.save(tmp_path / "step")
    files = {p.name for p in (tmp_path / "step").iterdir() if p.is_file()}
    assert "optimizer.safetensors" in files and any(n.startswith("adapter") for n in files)
    resumed = built.policy()
    resumed.begin_training(training, 3)
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
    # without the optimizer's moments the next step is another one
    amnesiac = built.policy()
    amnesiac.begin_training(training, 3)
    (tmp_path / "step" / "optimizer.safetensors").unlink()
    from audio_eval.models.hf.adapters import load_adapter

    load_adapter(tmp_path / "step", amnesiac.model, amnesiac._peft)
    for _ in range(2):
        step(amnesiac)
    assert any(not torch.equal(one[n], t) for n, t in trained(amnesiac).items())


@pytest.mark.parametrize(("tune", "tower"), [("lora", False), ("full", False), ("full", True)])
def test_reset_gives_the_unadapted_model_back(built: Built, tune: str, tower: bool) -> None:
    policy = built.policy()
    untouched = groups_of(policy)
    policy.begin_training(settings(tune, train_tower=tower, lr=5e-2), 3)
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
    policy.begin_training(settings(tune, train_tower=tower, lr=5e-2), 3)
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


# --- adapters that others read -------------------------------------------------------------------------------------

SEVEN = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


@pytest.fixture
def adapter(built: Built, tmp_path: Path) -> tuple[HFPolicy, Path]:
    policy = started(built, settings())
    groups = groups_of(policy)
    policy.train_step(groups, advantages_of(groups))
    policy.save(tmp_path / "saved")
    return policy, tmp_path / "saved"


def test_peft_reads_the_adapter(built: Built, adapter: tuple[HFPolicy, Path]) -> None:
    policy, folder = adapter
    names = set(load_file(folder / "adapter_model.safetensors"))
    assert names and all(n.startswith("base_model.model.model.language_model.layers.") for n in names)
    assert {n.split(".lora_")[0].split(".")[-1] for n in names} == SEVEN
    fresh = built.policy()
    inputs = model_inputs(built.kind, policy.tokenizer, policy.encoder.checkpoint.extractor, question(6, 0.8))
    with torch.no_grad():
        unadapted = fresh.model(**inputs).logits
        # a model that has never met this package: transformers' class from the folder, peft's loader from the adapter
        plain = CLASSES[built.kind].from_pretrained(built.folder, config=fresh.model.config).eval()
        theirs = peft.PeftModel.from_pretrained(plain, folder).eval()(**inputs).logits
        ours = policy.model(**inputs).logits
    assert torch.equal(theirs, ours)
    assert not torch.allclose(unadapted, ours, atol=1e-3)


def test_vllms_copy_has_vllms_names(adapter: tuple[HFPolicy, Path]) -> None:
    _, folder = adapter
    own, vllm = (load_file(place / "adapter_model.safetensors") for place in (folder, folder / "vllm"))
    assert all(n.startswith("base_model.model.language_model.model.layers.") for n in vllm)
    assert {n.replace("language_model.model.", "model.language_model.") for n in vllm} == own.keys()
    for name, tensor in vllm.items():
        assert torch.equal(own[name.replace("language_model.model.", "model.language_model.")], tensor)
    config = json.loads((folder / "vllm" / "adapter_config.json").read_text())
    assert set(config["target_modules"]) == SEVEN
    assert config["r"] == 4 and config["lora_alpha"] == 8 and config["peft_type"] == "LORA"
    assert peft.PeftConfig.from_pretrained(str(folder / "vllm")).peft_type == "LORA"


@both_ways
def test_an_adapter_is_read_back_by_a_fresh_policy(built: Built, tune: str, tmp_path: Path) -> None:
    """What scoring in another process does: no optimizer step follows."""
    training = settings(tune, lr=3e-2)
    policy = built.policy()
    policy.begin_training(training, 3)
    groups = groups_of(policy)
    policy.train_step(groups, advantages_of(groups))
    policy.save(tmp_path)
    fresh = built.policy()
    before = groups_of(fresh)
    fresh.begin_training(training, 3)
    fresh.load(tmp_path)
    assert groups_of(fresh) == groups_of(policy) != before
