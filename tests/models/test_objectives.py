"""GSPO, the entropy bonus and masked completions: the gradient of plain repeated rows, whatever the micro-batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from audio_eval.group import Group
from audio_eval.models.hf.gradient import score_rows
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import LossName, Training
from tests.models.checkpoints import model_inputs
from tests.models.conftest import Built
from tests.models.training import (
    LOSSES,
    MIXED,
    Gradients,
    advantages_of,
    assert_same_gradients,
    before_each_update,
    everything,
    given,
    gradients_by_name,
    record,
    rows_of,
    settings,
    started,
    step,
)

Rows = list[tuple[torch.Tensor, torch.Tensor]]


def cut(groups: Sequence[Group], *places: tuple[int, int]) -> list[Group]:
    """The groups, with the completions at (group, index) unfinished."""
    return [
        replace(
            group,
            completions=tuple(replace(c, finished=(g, u) not in places) for u, c in enumerate(group.completions)),
        )
        for g, group in enumerate(groups)
    ]


# the longest ones are cut, and all of the second group; each group was sampled at a temperature of its own
TEMPERED = [replace(group, temperature=t) for group, t in zip(MIXED, (0.6, 1.0, 1.7, 0.3, 2.5), strict=True)]
CUT = cut(TEMPERED, (0, 1), (1, 0), (3, 0), (3, 2))


def samples(built: Built, policy: HFPolicy, groups: Sequence[Group]) -> Rows:
    """Log-probabilities and entropies (T,) of every *sample*, by the whole model's forward, prompt and all."""
    rows: Rows = []
    for group in groups:
        inputs = model_inputs(built.kind, policy.tokenizer, policy.encoder.checkpoint.extractor, group.question)
        prompt = inputs["input_ids"]
        for completion, count in zip(group.completions, group.counts, strict=True):
            ids = torch.cat([prompt, torch.tensor([completion.tokens])], dim=1)
            logits = policy.model(**inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}).logits
            every = torch.log_softmax(logits[0, prompt.shape[1] - 1 : -1].float() / group.temperature, dim=-1)
            chosen = every[torch.arange(len(completion.tokens)), torch.tensor(completion.tokens)]
            rows += [(chosen, -(every.exp() * every).sum(dim=-1))] * count
    return rows


@pytest.fixture(scope="module")
def at_first(built: Built) -> Callable[[str], Rows]:
    """The samples of CUT before any update: by the base model ("none"), or by the one that ``tune`` starts with."""

    @cache
    def rows(tune: str) -> Rows:
        policy = built.policy() if tune == "none" else started(built, settings(tune))
        with torch.no_grad():
            return samples(built, policy, CUT)

    return rows


def plain_loss(
    rows: Rows, old: Rows, base: Rows, groups: Sequence[Group], advantages: Sequence[np.ndarray], t: Training
) -> torch.Tensor:
    """Sample by sample, the formulas as they are written for a plain batch. ``max_tokens`` is the policy's default."""
    each = np.concatenate([np.repeat(a, g.counts) for a, g in zip(advantages, groups, strict=True)])
    taken = [c.finished or not t.mask_truncated for g in groups for c, n in zip(g.completions, g.counts, strict=True)
             for _ in range(n)]  # fmt: skip
    sums, means, tokens = [], [], 0
    for (new, entropy), (before, _), (first, _), advantage, real in zip(rows, old, base, each, taken, strict=True):
        log_ratio = new - before.detach()
        if t.loss == "gspo":
            log_ratio = log_ratio.mean().expand(len(new))
        ratio, a, away = log_ratio.exp(), float(advantage), first.detach() - new
        above = t.clip if t.clip_high is None else t.clip_high
        gain = torch.minimum(ratio * a, ratio.clamp(1 - t.clip, 1 + above) * a)
        token = real * (-gain + t.beta * (away.exp() - away - 1) - t.entropy_coef * entropy)
        sums.append(token.sum())
        means.append(token.mean())
        tokens += real * len(new)
    if t.loss in ("grpo", "gspo"):
        return torch.stack(means).mean()
    return torch.stack(sums).sum() / (len(sums) * 64 if t.loss == "dr_grpo" else tokens)


CASES: dict[str, dict[str, Any]] = {
    "gspo": {"loss": "gspo", "clip": 0.02, "clip_high": 0.04, "inner_updates": 2},
    "entropy": {"entropy_coef": 0.5},
    "entropy in chunks": {"entropy_coef": 0.5, "loss": "dapo", "logits_chunk": 3},
    "mask": {"mask_truncated": True},
    "mask, dapo": {"mask_truncated": True, "loss": "dapo"},
    "mask, dr_grpo": {"mask_truncated": True, "loss": "dr_grpo"},
    "all": {
        "loss": "gspo", "clip": 0.02, "inner_updates": 2, "beta": 0.3, "entropy_coef": 0.2, "mask_truncated": True,
        "checkpointing": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("tune", ["lora", "full"])
@pytest.mark.parametrize("case", CASES)
def test_the_gradient_is_that_of_repeated_rows_in_any_micro_batches(
    built: Built, at_first: Callable[[str], Rows], case: str, tune: str
) -> None:
    """The third group has no advantages: it has a gradient under the bonus and the KL alone."""
    advantages = advantages_of(CUT)
    advantages[2] = np.zeros(1)
    base, old, seen = at_first("none"), at_first(tune), []
    lr, budgets = (1e-2, (250, 1)) if tune == "lora" else (1e-4, (16384,))
    for budget in budgets:
        training = settings(tune, lr=lr, token_budget=budget, **CASES[case])
        policy = started(built, training)
        wanted, noted = list[Gradients](), record(policy)
        losses: list[float] = []

        def compare(
            policy: HFPolicy = policy, training: Training = training, wanted: list = wanted, losses: list = losses
        ) -> None:
            loss = plain_loss(samples(built, policy, CUT), old, base, CUT, advantages, training)
            wanted.append(gradients_by_name(policy, loss))
            losses.append(float(loss.detach()))

        before_each_update(policy, compare)
        stats = policy.train_step(CUT, advantages).metrics
        assert len(noted) == training.inner_updates
        for got, want in zip(noted, wanted, strict=True):
            assert_same_gradients(got, want, 1e-4 if training.inner_updates > 1 else 2e-5)
        assert stats["loss"] == pytest.approx(losses[-1], rel=1e-3, abs=1e-6)
        assert 0 < stats["clipped"] < 1 if training.inner_updates > 1 else stats["clipped"] == 0
        seen.append(stats)
    for name in ("loss", "kl", "clipped", "entropy", "grad_norm", "truncated"):
        assert [s[name] for s in seen[1:]] == pytest.approx([seen[0][name]] * (len(seen) - 1), rel=1e-3), name


# --- the entropy bonus ---------------------------------------------------------------------------------------------


def test_an_advantage_of_zero_has_a_bonus(omni: Built) -> None:
    policy = started(omni, settings(entropy_coef=0.25))
    with torch.no_grad():
        rows = samples(omni, policy, MIXED)
    got, stats = step(policy, MIXED, [np.zeros(len(g.counts)) for g in MIXED])
    assert stats["loss"] == pytest.approx(-0.25 * float(torch.stack([h.mean() for _, h in rows]).mean()), rel=1e-5)
    assert stats["grad_norm"] > 0 and got


def test_the_bonus_raises_the_entropy(omni: Built) -> None:
    policy = started(omni, settings("full", entropy_coef=1.0, lr=1e-3))
    nothing = [np.zeros(len(g.counts)) for g in MIXED]
    entropies = [policy.train_step(MIXED, nothing).metrics["entropy"] for _ in range(4)]
    assert entropies == sorted(entropies) and entropies[-1] > entropies[0] + 0.01


def test_the_entropy_has_a_graph_only_where_it_is_asked_for(omni: Built) -> None:
    policy = started(omni, settings("full"))
    for chunk in (1024, 3):
        checkpoint = policy.encoder.checkpoint
        plain, asked = (score_rows(checkpoint, rows_of(policy, MIXED), chunk, False, on) for on in (False, True))
        assert asked.entropy_UT.requires_grad and not plain.entropy_UT.requires_grad
        assert torch.equal(asked.entropy_UT, plain.entropy_UT) and torch.equal(asked.logprobs_UT, plain.logprobs_UT)


# --- cut completions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [*LOSSES, "gspo"])
def test_a_masked_completion_stays_in_the_mean_but_not_among_the_tokens(omni: Built, loss: LossName) -> None:
    masked, _ = step(started(omni, settings(loss=loss, mask_truncated=True)), CUT, advantages_of(CUT))
    advantages = [
        np.where([c.finished for c in g.completions], a, 0.0) for g, a in zip(CUT, advantages_of(CUT), strict=True)
    ]
    zeroed, _ = step(started(omni, settings(loss=loss)), CUT, advantages)
    drawn = [(len(c.tokens), n, c.finished) for g in CUT for c, n in zip(g.completions, g.counts, strict=True)]
    whole, left = (sum(t * n for t, n, finished in drawn if finished or every) for every in (True, False))
    scale = whole / left if loss in ("dapo", "bnpo") else 1.0
    assert left < whole
    assert_same_gradients(masked, {name: gradient * scale for name, gradient in zeroed.items()})


def test_cut_completions_are_counted_as_often_as_they_were_drawn(omni: Built) -> None:
    drawn = sum(g.size for g in CUT)
    # groups have counts 1, 2, 3, 1, ..: of the cut ones 2 + 1 + 1 + 3
    for changes in ({}, {"mask_truncated": True}):
        stats = started(omni, settings(**changes)).train_step(CUT, advantages_of(CUT)).metrics
        assert stats["truncated"] == pytest.approx(7 / drawn)
    skipped = started(omni, settings()).train_step(CUT, [np.zeros(len(g.counts)) for g in CUT]).metrics
    assert skipped["truncated"] == pytest.approx(7 / drawn) and skipped["loss"] == 0.0


@pytest.mark.parametrize("changes", [{}, {"beta": 0.5, "entropy_coef": 0.5, "loss": "dapo"}])
def test_a_step_of_cut_completions_changes_nothing(omni: Built, changes: dict[str, Any]) -> None:
    policy = started(omni, settings(mask_truncated=True, **changes))
    groups = cut(given([[2, 3], [4]], [0.4, None]), (0, 0), (0, 1), (1, 0))
    before = everything(policy)
    stats = policy.train_step(groups, advantages_of(groups)).metrics
    assert stats.pop("truncated") == 1.0 and set(stats.values()) == {0.0}
    assert all(torch.equal(before[name], tensor) for name, tensor in everything(policy).items())


def test_a_question_with_cut_completions_alone_is_not_asked(omni: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = started(omni, settings(mask_truncated=True, beta=0.1))
    asked: set[str] = set()
    prompts = policy.encoder.prompts

    def noting(questions: Sequence[Any]) -> list[Any]:
        asked.update(q.id for q in questions)
        return prompts(questions)

    monkeypatch.setattr(policy.encoder, "prompts", noting)
    policy.train_step(CUT, advantages_of(CUT))
    assert asked == {g.question.id for i, g in enumerate(CUT) if i != 1}
