"""The log-probabilities of given completions: those of the whole model's forward, whatever else is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from audio_eval.audio import AudioRef
from audio_eval.group import Completion, Group
from audio_eval.models.hf import logprobs
from audio_eval.models.hf.gradient import score_rows
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import ScoresCompletions
from audio_eval.questions import Question
from tests.models.checkpoints import question
from tests.models.conftest import Built
from tests.models.training import MIXED, advantages_of, all_logprobs, everything, gradients_of, settings, started


def plain(built: Built, policy: HFPolicy, groups: Sequence[Group]) -> list[list[list[float]]]:
    """Of each completion once, by transformers: prompt and completion in a row of their own."""
    with torch.no_grad():
        once = [replace(group, counts=(1,) * len(group.completions)) for group in groups]
        return [[row.tolist() for row in rows] for rows in all_logprobs(built, policy, once)]


def assert_alike(got: Sequence[Group], want: Sequence[Sequence[Sequence[float]]]) -> None:
    assert [[len(c.logprobs or ()) for c in group.completions] for group in got] == [
        [len(row) for row in rows] for rows in want
    ]
    flat = [value for group in got for c in group.completions for value in c.logprobs or ()]
    np.testing.assert_allclose(flat, [value for rows in want for row in rows for value in row], rtol=1e-4, atol=1e-5)


def test_they_are_those_of_the_whole_models_forward(built: Built) -> None:
    policy = built.policy()
    assert isinstance(policy, ScoresCompletions)
    want, before = plain(built, policy, MIXED), everything(policy)
    assert len({round(value, 3) for rows in want for row in rows for value in row}) > 20, "or the order shows nothing"
    got = policy.logprobs(MIXED)
    assert_alike(got, want)
    for group, given in zip(got, MIXED, strict=True):
        assert group.question is given.question and group.counts == given.counts
        assert [c.tokens for c in group.completions] == [c.tokens for c in given.completions]
        assert all(value < 0 for c in group.completions for value in c.logprobs or ())
    assert all(torch.equal(before[name], tensor) for name, tensor in everything(policy).items())
    assert not any(parameter.grad is not None for parameter in policy.model.parameters())


def test_they_do_not_depend_on_what_else_is_scored(built: Built) -> None:
    policy = built.policy()
    want = plain(built, policy, MIXED)
    assert_alike([one for group in MIXED for one in policy.logprobs([group])], want)
    assert_alike(policy.logprobs(MIXED[::-1]), want[::-1])
    alone = [replace(group, completions=(c,), counts=(1,)) for group in MIXED for c in group.completions]
    assert_alike(policy.logprobs(alone), [[row] for rows in want for row in rows])


@pytest.mark.parametrize(("budget", "chunk"), [(16384, 1024), (250, 5), (1, 1)])
def test_a_policy_in_training_asks_its_own_weights(built: Built, budget: int, chunk: int) -> None:
    policy = started(built, settings(token_budget=budget, logits_chunk=chunk))
    policy.train_step(MIXED, advantages_of(MIXED))
    got = policy.logprobs(MIXED)
    assert_alike(got, plain(built, policy, MIXED))
    assert not gradients_of(policy)
    first = [c.logprobs for group in built.policy().logprobs(MIXED) for c in group.completions]
    assert not np.allclose(np.concatenate(first), np.concatenate([c.logprobs for g in got for c in g.completions]))


def test_a_statement_ends_as_if_it_had_been_sampled(omni: Built) -> None:
    """The end token is a part of it: "a dog" is more probable than the same with more to come."""
    policy = omni.policy()
    asked = question(1, 0.4)
    (group,) = policy.logprobs([policy.encode(asked, "a dog")])
    (completion,) = group.completions
    assert completion.tokens is not None and completion.tokens[-1] == policy.tokenizer.eos_token_id
    assert len(completion.logprobs or ()) == len(completion.tokens)


def test_it_says_what_was_heard_and_what_could_not_be(omni: Built) -> None:
    policy = omni.policy()
    broken = Question("broken", AudioRef(data=b"no audio"), "", (), "?")
    unreadable = Group(broken, (Completion("a", (30, 31)),), (1,))
    nothing = Group(question(77), (), ())
    silent = Group(question(78), (Completion("", ()), Completion("b", (40,))), (1, 1))
    assert policy.logprobs([]) == [] and policy.logprobs([nothing]) == [nothing]
    failed, heard, empty, short = policy.logprobs([unreadable, MIXED[0], nothing, silent])
    assert failed.completions == () and failed.error
    assert heard.audio_seconds == pytest.approx(0.2, abs=0.01) and not heard.truncated and heard.error is None
    assert empty == nothing and short.audio_seconds == 0
    assert short.completions[0].logprobs == () and len(short.completions[1].logprobs or ()) == 1
    (long,) = policy.logprobs([Group(question(79, 31.0), (Completion("b", (40,)),), (1,))])
    assert long.truncated == policy.generate([question(79, 31.0)], _greedy())[0].truncated


def _greedy() -> Any:
    from audio_eval.models.policy import Sampling

    return Sampling(max_tokens=1)


def test_a_record_of_them_can_be_read_back(omni: Built) -> None:
    (group,) = omni.policy().logprobs(MIXED[:1])
    assert Group.from_json(group.to_json(), group.question) == group


def test_no_memory_halves_the_micro_batch(omni: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = omni.policy()
    want = plain(omni, policy, MIXED)
    sizes: list[int] = []

    def short_of_memory(model: Any, rows: Sequence[Any], *more: Any) -> Any:
        sizes.append(len(rows))
        if len(rows) > 2:
            raise torch.cuda.OutOfMemoryError("injected")
        return score_rows(model, rows, *more)

    monkeypatch.setattr(logprobs, "score_rows", short_of_memory)
    assert_alike(policy.logprobs(MIXED), want)
    assert sizes[0] == 5 and max(sizes[1:]) <= 3


def test_after_reset_they_are_the_unadapted_models(omni: Built) -> None:
    policy = omni.policy()
    want = policy.logprobs(MIXED)
    policy.begin_training(settings("full", lr=1e-2), seed=0)
    policy.train_step(MIXED, advantages_of(MIXED))
    assert policy.logprobs(MIXED) != want
    policy.reset()
    assert policy.logprobs(MIXED) == want
