"""Self-certainty: the formula by hand, and the whole model's own logits on every completion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from audio_eval.audio import AudioRef
from audio_eval.group import Completion, Group
from audio_eval.models.hf import logprobs
from audio_eval.models.hf.gradient import certainty_rows
from audio_eval.models.hf.head import self_certainty
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.questions import Question
from tests.models.checkpoints import model_inputs, question
from tests.models.conftest import Built
from tests.models.training import MIXED, advantages_of, everything, gradients_of, settings, started


def test_by_hand() -> None:
    # p = (3/4, 1/4): log(1/2 / (3/4)) / 2 + log(1/2 / (1/4)) / 2 = log(2 / sqrt 3); a uniform p has none, and a shift
    # of the logits changes nothing
    logits = torch.tensor([[math.log(3.0), 0.0], [5.0, 5.0], [math.log(3.0) - 7, -7.0]], dtype=torch.float32)
    for chunk in (1, 2, 1024):
        found = self_certainty(lambda hidden: hidden, logits, chunk)
        assert found.tolist() == pytest.approx([math.log(2 / math.sqrt(3)), 0.0, math.log(2 / math.sqrt(3))], abs=1e-6)


def plain(built: Built, policy: HFPolicy, groups: Sequence[Group]) -> list[np.ndarray]:
    """KL(uniform || p) of every token by the whole model's forward, in float64, averaged over each completion."""
    found = []
    for group in groups:
        inputs = model_inputs(built.kind, policy.tokenizer, policy.encoder.checkpoint.extractor, group.question)
        prompt, of_group = inputs["input_ids"], []
        for completion in group.completions:
            ids = torch.cat([prompt, torch.tensor([completion.tokens])], dim=1)
            with torch.no_grad():
                logits = policy.model(**inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}).logits
            logprobs = torch.log_softmax(logits[0, prompt.shape[1] - 1 : -1].double(), dim=-1)
            uniform = -math.log(logprobs.shape[-1])
            of_group.append(float((uniform - logprobs).mean(dim=-1).mean()))
        found.append(np.array(of_group))
    return found


def assert_alike(got: Sequence[np.ndarray], want: Sequence[np.ndarray]) -> None:
    assert [len(a) for a in got] == [len(a) for a in want]
    np.testing.assert_allclose(np.concatenate(got), np.concatenate(want), rtol=1e-5)


def test_it_is_that_of_the_whole_models_logits(built: Built) -> None:
    policy = built.policy()
    want = plain(built, policy, MIXED)
    assert len({round(float(x), 3) for a in want for x in a}) > 8, "or the order shows nothing"
    before = everything(policy)
    assert_alike(policy.self_certainty(MIXED), want)
    assert_alike(policy.self_certainty(MIXED[::-1]), want[::-1])
    assert all(torch.equal(before[name], tensor) for name, tensor in everything(policy).items())


@pytest.mark.parametrize(("budget", "chunk"), [(16384, 1024), (250, 5), (1, 1)])
def test_a_policy_in_training_asks_its_own_weights(
    built: Built, budget: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = started(built, settings(token_budget=budget, logits_chunk=chunk))
    policy.train_step(MIXED, advantages_of(MIXED))
    sizes: list[int] = []
    policy.model.lm_head.register_forward_hook(lambda module, args, out: sizes.append(len(out)))
    rows: list[int] = []

    def noting(model: Any, given: Sequence[Any], chunk: int) -> torch.Tensor:
        rows.append(len(given))
        return certainty_rows(model, given, chunk)

    monkeypatch.setattr(logprobs, "certainty_rows", noting)
    got = policy.self_certainty(MIXED)
    assert max(sizes) <= chunk and sum(rows) == (5 if budget > 1 else 11)
    assert_alike(got, plain(built, policy, MIXED))
    assert not gradients_of(policy)
    assert not np.allclose(np.concatenate(got), np.concatenate(built.policy().self_certainty(MIXED)), rtol=1e-3)


def test_what_cannot_be_asked_has_an_empty_array(omni: Built) -> None:
    policy = omni.policy()
    broken = Question("broken", AudioRef(data=b"no audio"), "", (), "?")
    unreadable = Group(broken, (Completion("a", (30, 31)),), (1,))
    nothing = Group(question(77), (), (), error="unreadable")
    silent = Group(question(78), (Completion("", ()), Completion("b", (40,))), (1, 1))
    assert policy.self_certainty([]) == [] and policy.self_certainty([nothing])[0].shape == (0,)
    got = policy.self_certainty([unreadable, MIXED[0], nothing, silent])
    assert [len(a) for a in got] == [0, 3, 0, 2]
    np.testing.assert_allclose(got[1], policy.self_certainty(MIXED[:1])[0], rtol=1e-5)
    assert got[3][0] == 0.0 and got[3][1] > 0


def test_no_memory_halves_the_micro_batch(omni: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = omni.policy()
    want = policy.self_certainty(MIXED)
    sizes: list[int] = []

    def short_of_memory(model: Any, rows: Sequence[Any], chunk: int) -> torch.Tensor:
        sizes.append(len(rows))
        if len(rows) > 2:
            raise torch.cuda.OutOfMemoryError("injected")
        return certainty_rows(model, rows, chunk)

    monkeypatch.setattr(logprobs, "certainty_rows", short_of_memory)
    assert_alike(policy.self_certainty(MIXED), want)
    assert sizes[0] == 5
    sizes.clear()
    assert_alike(policy.self_certainty(MIXED), want)
    assert max(sizes) <= 2, "the smaller budget stays"


def test_after_reset_it_is_the_unadapted_models_and_clips_are_kept(omni: Built) -> None:
    policy = omni.policy()
    want = policy.self_certainty(MIXED)
    policy.begin_training(settings("full", lr=1e-2), seed=0)
    policy.train_step(MIXED, advantages_of(MIXED))
    calls = policy.encoder.calls
    policy.reset()
    assert all(np.array_equal(a, b) for a, b in zip(policy.self_certainty(MIXED), want, strict=True))
    assert policy.encoder.calls == calls == 3
