"""The shared-prefix gradient: exact, in bounded memory, whatever the micro-batches and the device's memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from audio_eval.group import Completion, Group
from audio_eval.models.hf import logprobs as engine
from audio_eval.models.hf.gradient import Scored, score_rows
from audio_eval.models.hf.layout import SharedPrefix
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import LossName, Sampling
from audio_eval.questions import Question
from tests.models.checkpoints import question
from tests.models.conftest import Built
from tests.models.test_training import (
    advantages_of,
    all_logprobs,
    assert_same_gradients,
    both_ways,
    detached,
    record,
    reference_gradients,
    settings,
    started,
)

Gradients = dict[str, torch.Tensor]
LOSSES: tuple[LossName, ...] = ("grpo", "dr_grpo", "dapo", "bnpo")


def given(lengths: Sequence[Sequence[int]], seconds: Sequence[float | None]) -> list[Group]:
    """Groups of random tokens: for each question the lengths of its completions."""
    rng = np.random.default_rng(0)
    return [
        Group(
            question(i, long),
            tuple(Completion("", tuple(rng.integers(20, 300, n).tolist())) for n in of_question),
            tuple(1 + u % 3 for u in range(len(of_question))),
        )
        for i, (of_question, long) in enumerate(zip(lengths, seconds, strict=True))
    ]


def rows_of(policy: HFPolicy, groups: Sequence[Group]) -> list[SharedPrefix]:
    prompts = policy.encoder.prompts([group.question for group in groups])
    return [
        SharedPrefix(prompt.embeds, [c.tokens for c in group.completions])
        for group, prompt in zip(groups, prompts, strict=True)
    ]


def step(policy: HFPolicy, groups: Sequence[Group], advantages: Sequence[np.ndarray]) -> tuple[Gradients, dict]:
    seen = record(policy)
    stats = policy.train_step(groups, advantages).metrics
    return seen[0], stats


MIXED = given([[1, 6, 3], [2], [1], [9, 1, 1, 4], [5, 5]], [0.2, 2.3, None, 1.1, None])


# --- the forward ---------------------------------------------------------------------------------------------------


def test_log_probabilities_are_those_of_rows_of_their_own(built: Built) -> None:
    policy = built.policy()
    text = policy.model.config.get_text_config()
    assert text.num_key_value_heads < text.num_attention_heads, "grouped queries are part of the test"
    with torch.no_grad():
        want = all_logprobs(built, policy, MIXED)
        got = score_rows(policy.model, rows_of(policy, MIXED), 1024)
    repeated = [rows[at] for rows, group in zip(want, MIXED, strict=True) for at in np.cumsum(group.counts) - 1]
    assert got.mask_UT.sum(dim=1).tolist() == [len(row) for row in repeated]
    for u, row in enumerate(repeated):
        assert torch.allclose(got.logprobs_UT[u][got.mask_UT[u]], row, rtol=1e-5, atol=2e-5)
    assert not got.logprobs_UT[~got.mask_UT].any() and not got.entropy_UT[~got.mask_UT].any()


def test_entropy_is_that_of_the_predicting_distribution(omni: Built) -> None:
    policy = omni.policy()
    [row] = rows_of(policy, given([[2]], [None]))
    with torch.no_grad():
        scored = score_rows(policy.model, [row], 1024)
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
    for budget in (16384, 250, 1):
        policy = started(omni, settings("full", token_budget=budget, **changes))
        old = detached(all_logprobs(omni, policy, MIXED))
        noted = record(policy)
        wanted: list[Gradients] = []
        optimizer_step = policy._optimizer.step

        def compare(
            policy: HFPolicy = policy, old: list = old, wanted: list = wanted, go: Any = optimizer_step
        ) -> None:
            wanted.append(plain_gradients(omni, policy, MIXED, advantages, old, loss))
            go()

        policy._optimizer.step = compare  # type: ignore[method-assign]
        stats = policy.train_step(MIXED, advantages).metrics
        assert len(noted) == 2 and stats["clipped"] > 0
        for got, want in zip(noted, wanted, strict=True):
            assert_same_gradients(got, want, 1e-4)
        seen.append(stats)
    for name in ("loss", "kl", "clipped", "entropy", "grad_norm"):
        assert [s[name] for s in seen[1:]] == pytest.approx([seen[0][name]] * 2, rel=1e-3), name


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
    found = torch.autograd.grad(total, list(policy._names), allow_unused=True)
    return {n: g for n, g in zip(policy._names.values(), found, strict=True) if g is not None}


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


# --- memory --------------------------------------------------------------------------------------------------------


@both_ways
def test_chunks_of_logits_change_nothing_and_are_not_kept(omni: Built, tune: str) -> None:
    gradients, kept, widest = [], [], []
    for chunk in (1024, 7):
        policy = started(omni, settings(tune, logits_chunk=chunk))
        vocabulary, saved, rows = policy.model.lm_head.weight.shape[0], [0], [0]

        def pack(tensor: torch.Tensor, saved: list = saved, vocabulary: int = vocabulary) -> torch.Tensor:
            saved[0] += tensor.numel() if tensor.dim() == 2 and tensor.shape[1] == vocabulary else 0
            return tensor

        policy.model.lm_head.register_forward_hook(
            lambda module, args, out, rows=rows: rows.__setitem__(0, max(rows[0], len(out)))
        )
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            gradients.append(step(policy, MIXED, advantages_of(MIXED))[0])
        kept.append(saved[0])
        widest.append(rows[0])
    assert_same_gradients(gradients[1], gradients[0])
    assert widest == [sum(len(c.tokens) for group in MIXED for c in group.completions), 7]
    # the weight itself has this width transposed, hence not zero in every case
    assert kept[1] < kept[0]


@both_ways
def test_checkpointing_keeps_less_and_changes_nothing(built: Built, tune: str) -> None:
    gradients, kept = [], []
    for checkpointing in (False, True):
        policy = started(built, settings(tune, checkpointing=checkpointing))
        sampled = policy.generate([question(1, 0.4)], Sampling(n=3, temperature=0.2, max_tokens=4))
        saved: dict[int, int] = {}

        def pack(tensor: torch.Tensor, saved: dict = saved) -> torch.Tensor:
            if not isinstance(tensor, torch.nn.Parameter):
                saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            scored = score_rows(policy.model, rows_of(policy, MIXED), 1024, checkpointing)
        kept.append(sum(saved.values()))
        assert scored.logprobs_UT.requires_grad
        gradients.append(step(policy, MIXED, advantages_of(MIXED))[0])
        assert not any(layer.training for layer in policy.model.model.language_model.layers)
        again = started(built, settings(tune, checkpointing=checkpointing))
        assert again.generate([question(1, 0.4)], Sampling(n=3, temperature=0.2, max_tokens=4)) == sampled
    assert_same_gradients(gradients[1], gradients[0], 1e-6)
    assert kept[1] < 0.5 * kept[0]


def test_no_memory_in_the_forward_halves_the_micro_batch(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    want, plain = step(started(built, settings("full")), MIXED, advantages_of(MIXED))
    assert plain["oom_retries"] == 0
    sizes: list[int] = []

    def short_of_memory(model: Any, rows: Sequence[SharedPrefix], *args: Any) -> Scored:
        tokens = len(rows) * max(len(row.prompt) + sum(len(c) - 1 for c in row.completions) for row in rows)
        sizes.append(tokens)
        if tokens > 300:
            raise torch.cuda.OutOfMemoryError("injected")
        return score_rows(model, rows, *args)

    monkeypatch.setattr(engine, "score_rows", short_of_memory)
    policy = started(built, settings("full"))
    got, stats = step(policy, MIXED, advantages_of(MIXED))
    assert_same_gradients(got, want)
    assert stats["oom_retries"] >= 1 and sizes[0] > 300
    assert {k: v for k, v in stats.items() if k != "oom_retries"} == pytest.approx(
        {k: v for k, v in plain.items() if k != "oom_retries"}, rel=1e-4
    )
    sizes.clear()
    assert policy.train_step(MIXED, advantages_of(MIXED)).metrics["oom_retries"] == 0, "the smaller budget stays"
    assert max(sizes) <= 300


def test_no_memory_in_the_middle_of_a_backward(omni: Built) -> None:
    """Some gradients have been added by then: the step starts afresh."""
    want, _ = step(started(omni, settings("full")), MIXED, advantages_of(MIXED))
    policy = started(omni, settings("full"))
    name = "model.language_model.layers.0.self_attn.k_proj.weight"
    parameter = next(p for p, n in policy._names.items() if n == name)
    left = [1]

    def fail(gradient: torch.Tensor) -> None:
        if left[0]:
            left[0] -= 1
            touched = [n for p, n in policy._names.items() if p.grad is not None]
            assert any("layers.1." in n for n in touched), "or the test shows nothing"
            raise torch.cuda.OutOfMemoryError("injected")

    parameter.register_hook(fail)
    got, stats = step(policy, MIXED, advantages_of(MIXED))
    assert stats["oom_retries"] == 1
    assert_same_gradients(got, want)


def test_no_memory_for_the_reference_and_the_old_policy(omni: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"beta": 0.2, "inner_updates": 2, "lr": 1e-2}
    want, _ = step(started(omni, settings(**changes)), MIXED, advantages_of(MIXED))
    failures = [True, True]

    def short_of_memory(*args: Any) -> Scored:
        if failures and not torch.is_grad_enabled():
            failures.pop()
            raise torch.cuda.OutOfMemoryError("injected")
        return score_rows(*args)

    monkeypatch.setattr(engine, "score_rows", short_of_memory)
    got, stats = step(started(omni, settings(**changes)), MIXED, advantages_of(MIXED))
    assert not failures and stats["oom_retries"] == 2
    assert_same_gradients(got, want)
