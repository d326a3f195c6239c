"""The gradient of a training step is that of every sample in a row of its own, prompt and all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from audio_eval.audio import AudioRef
from audio_eval.group import Completion, Group
from audio_eval.questions import Question
from tests.models.checkpoints import model_inputs, question
from tests.models.conftest import Built
from tests.models.training import (
    advantages_of,
    all_logprobs,
    assert_same_gradients,
    both_ways,
    everything,
    gradients_by_name,
    groups_of,
    record,
    reference_gradients,
    settings,
    started,
)


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
    want = gradients_by_name(policy, nll)
    seen = record(policy)
    policy.train_step([group], [np.ones(1)])
    assert_same_gradients(seen[0], want)


def test_sft_of_several_examples_is_the_mean_of_their_nll(built: Built) -> None:
    policy = started(built, settings())
    texts = ["a dog", "<answer>the bell</answer>", ""]
    groups = [policy.encode(question(i, 0.5 + i), text) for i, text in enumerate(texts)]
    rows = all_logprobs(built, policy, groups)
    nll = torch.stack([-row.mean() for [row] in rows]).mean()
    want = gradients_by_name(policy, nll)
    seen = record(policy)
    policy.train_step(groups, [np.ones(1)] * 3)
    assert_same_gradients(seen[0], want)
