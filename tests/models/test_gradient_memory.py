"""The memory of a training step: logits in chunks, checkpointing, and smaller micro-batches where memory runs out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from audio_eval.models.hf import logprobs
from audio_eval.models.hf.gradient import Scored, score_rows
from audio_eval.models.hf.layout import SharedPrefix
from audio_eval.models.policy import Sampling
from tests.models.checkpoints import question
from tests.models.conftest import Built
from tests.models.training import (
    MIXED,
    advantages_of,
    assert_same_gradients,
    both_ways,
    gradients_of,
    names_of,
    rows_of,
    settings,
    started,
    step,
)


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
            scored = score_rows(policy.encoder.checkpoint, rows_of(policy, MIXED), 1024, checkpointing)
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

    monkeypatch.setattr(logprobs, "score_rows", short_of_memory)
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
    parameter = next(p for p, n in names_of(policy).items() if n == name)
    left = [1]

    def fail(gradient: torch.Tensor) -> None:
        if left[0]:
            left[0] -= 1
            assert any("layers.1." in name for name in gradients_of(policy)), "or the test shows nothing"
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

    monkeypatch.setattr(logprobs, "score_rows", short_of_memory)
    got, stats = step(started(omni, settings(**changes)), MIXED, advantages_of(MIXED))
    assert not failures and stats["oom_retries"] == 2
    assert_same_gradients(got, want)
