"""The shared-prefix gradient is exact, whatever the lengths, the loss and the micro-batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from audio_eval.group import Group
from audio_eval.models.hf.gradient import score_rows
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import LossName
from audio_eval.questions import Question
from tests.models.conftest import Built
from tests.models.training import (
    LOSSES,
    MIXED,
    Gradients,
    advantages_of,
    all_logprobs,
    assert_same_gradients,
    before_each_update,
    both_ways,
    detached,
    given,
    gradients_by_name,
    record,
    reference_gradients,
    rows_of,
    settings,
    started,
    step,
)

# --- the forward ---------------------------------------------------------------------------------------------------


def test_log_probabilities_are_those_of_rows_of_their_own(built: Built) -> None:
    policy = built.policy()
    text = policy.model.config.get_text_config()
    assert text.num_key_value_heads < text.num_attention_heads, "grouped queries are part of the test"
    with torch.no_grad():
        want = all_logprobs(built, policy, MIXED)
        got = score_rows(policy.encoder.checkpoint, rows_of(policy, MIXED), 1024)
    repeated = [rows[at] for rows, group in zip(want, MIXED, strict=True) for at in np.cumsum(group.counts) - 1]
    assert got.mask_UT.sum(dim=1).tolist() == [len(row) for row in repeated]
    for u, row in enumerate(repeated):
        assert torch.allclose(got.logprobs_UT[u][got.mask_UT[u]], row, rtol=1e-5, atol=2e-5)
    assert not got.logprobs_UT[~got.mask_UT].any() and not got.entropy_UT[~got.mask_UT].any()


def test_entropy_is_that_of_the_predicting_distribution(omni: Built) -> None:
    policy = omni.policy()
    [row] = rows_of(policy, given([[2]], [None]))
    with torch.no_grad():
        scored = score_rows(policy.encoder.checkpoint, [row], 1024)
        ids = torch.tensor(row.completions[0][:1])
        embeds = torch.cat([row.prompt, policy.model.get_input_embeddings()(ids)])[None]
        logits = policy.model.lm_head(policy.model.model.language_model(inputs_embeds=embeds).last_hidden_state)
    probs = torch.softmax(logits[0, -2:].double(), dim=-1)
    assert torch.allclose(scored.entropy_UT[0].double(), -(probs * probs.log()).sum(dim=-1), rtol=1e-5)


def test_every_prompt_is_forwarded_once(omni: Built) -> None:
    policy = started(omni, settings())
    groups = given([[4] * 6, [3] * 5], [0.5, 0.5])
    with torch.no_grad():
        longest = max(len(row.prompt) + sum(len(c) - 1 for c in row.completions) for row in rows_of(policy, groups))
    shapes: list[torch.Size] = []
    layer = policy.model.model.language_model.layers[0]
    layer.register_forward_pre_hook(lambda module, args: shapes.append(args[0].shape))
    policy.train_step(groups, advantages_of(groups))
    assert shapes == [torch.Size([2, -(-longest // 8) * 8, 64])]


# --- exactness -----------------------------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize("budget", [16384, 420, 1])
def test_mixed_lengths_in_one_micro_batch(built: Built, tune: str, budget: int) -> None:
    policy = started(built, settings(tune, token_budget=budget))
    advantages = advantages_of(MIXED)
    want = reference_gradients(built, policy, MIXED, advantages)
    got, _ = step(policy, MIXED, advantages)
    assert_same_gradients(got, want)


def test_the_tower_hears_each_clip_once_a_micro_batch(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two questions on one clip: the tower's gradient is the sum of both, and each piece embeds its own question."""
    policy = started(built, settings("full", train_tower=True))
    first, second, other = given([[3, 2], [4], [2, 2]], [0.6, None, 1.4])
    shared = Question("shared", first.question.audio, "?", (), "Which sound is last?")
    groups = [first, Group(shared, second.completions, second.counts), other]
    advantages = advantages_of(groups)
    want = reference_gradients(built, policy, groups, advantages)
    asked: list[list[str]] = []

    def noting(questions: Sequence[Question]) -> list[Any]:
        if torch.is_grad_enabled():
            asked.append([q.id for q in questions])
        return prompts(questions)

    for budget, micro in ((16384, [3]), (1, [1] * 5)):  # one micro-batch, and one for each completion
        policy = started(built, settings("full", train_tower=True, token_budget=budget))
        prompts = policy.encoder.prompts
        monkeypatch.setattr(policy.encoder, "prompts", noting)
        asked.clear()
        got, _ = step(policy, groups, advantages)
        assert_same_gradients(got, want, 3e-5)
        assert [len(ids) for ids in asked] == micro


def test_kl_to_the_first_weights_of_tower_and_model(built: Built) -> None:
    beta = 0.6
    policy = started(built, settings("full", train_tower=True, beta=beta, lr=2e-3))
    base = detached(all_logprobs(built, built.policy(), MIXED))
    advantages = advantages_of(MIXED)
    policy.train_step(MIXED, advantages)
    want = reference_gradients(built, policy, MIXED, advantages, base=base, beta=beta)
    got, stats = step(policy, MIXED, advantages)
    assert stats["kl"] > 1e-4
    assert_same_gradients(got, want, 5e-5)


# --- losses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_those_of_repeated_rows_in_any_micro_batches(omni: Built, loss: LossName) -> None:
    """Clipped both ways after a first update, under a KL, one group without advantages; formulas as TRL writes them."""
    changes: dict[str, Any] = {
        "loss": loss, "clip": 0.05, "clip_high": 0.3, "beta": 0.3, "inner_updates": 2, "lr": 1e-2,
    }  # fmt: skip
    advantages = advantages_of(MIXED)
    advantages[1] = np.zeros(1)
    seen = []
    for budget in (250, 1):
        policy = started(omni, settings("full", token_budget=budget, **changes))
        old = detached(all_logprobs(omni, policy, MIXED))
        noted = record(policy)
        wanted: list[Gradients] = []

        def compare(policy: HFPolicy = policy, old: list = old, wanted: list = wanted) -> None:
            wanted.append(plain_gradients(omni, policy, MIXED, advantages, old, loss))

        before_each_update(policy, compare)
        stats = policy.train_step(MIXED, advantages).metrics
        assert len(noted) == 2 and stats["clipped"] > 0
        for got, want in zip(noted, wanted, strict=True):
            assert_same_gradients(got, want, 1e-4)
        seen.append(stats)
    for name in ("loss", "kl", "clipped", "entropy", "grad_norm"):
        assert seen[1][name] == pytest.approx(seen[0][name], rel=1e-3), name


def plain_gradients(
    built: Built, policy: HFPolicy, groups: Sequence[Group], advantages: Sequence[np.ndarray], old: list, loss: LossName
) -> Gradients:
    base = detached(all_logprobs(built, built.policy(), groups))
    tokens, lengths = [], []
    for g, rows in enumerate(all_logprobs(built, policy, groups)):
        for s, (new, advantage) in enumerate(zip(rows, np.repeat(advantages[g], groups[g].counts), strict=True)):
            ratio, away = (new - old[g][s]).exp(), base[g][s] - new
            gain = torch.minimum(ratio * float(advantage), ratio.clamp(0.95, 1.3) * float(advantage))
            tokens.append(-gain + 0.3 * (away.exp() - away - 1))
            lengths.append(len(new))
    total = {
        "grpo": torch.stack([row.mean() for row in tokens]).mean(),
        "dr_grpo": torch.cat(tokens).sum() / (len(tokens) * policy.max_tokens),
        "dapo": torch.cat(tokens).sum() / sum(lengths),
        "bnpo": torch.cat(tokens).sum() / sum(lengths),
    }[loss]
    return gradients_by_name(policy, total)


@pytest.mark.parametrize("loss", LOSSES)
def test_skipped_groups_count_in_every_mean(omni: Built, loss: LossName) -> None:
    """An advantage of almost zero is forwarded, one of zero is not; the gradient is the same."""
    gradients = []
    for nothing in (0.0, 1e-12):
        policy = started(omni, settings(loss=loss))
        advantages = advantages_of(MIXED)
        advantages[3] = np.full(4, nothing)
        gradients.append(step(policy, MIXED, advantages)[0])
    assert_same_gradients(*gradients)
