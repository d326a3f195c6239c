"""N samples drawn together have the counts of N independent draws from the model's own probabilities."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from audio_eval.group import Group
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from tests.models.checkpoints import model_inputs, question
from tests.models.conftest import Built
from tests.models.test_generation import first_token_probabilities, mixed


@pytest.fixture(scope="module")
def policy(built: Built) -> HFPolicy:
    return built.policy()


def test_counts_sum_to_n_and_completions_are_unique(policy: HFPolicy) -> None:
    for group in policy.generate(mixed(6), Sampling(n=64, temperature=0.6, max_tokens=3)):
        assert group.size == 64 and min(group.counts) >= 1
        assert list(group.counts) == sorted(group.counts, reverse=True)
        assert len({c.tokens for c in group.completions}) == len(group.completions)
        for c in group.completions:
            assert c.finished == (c.tokens[-1] in policy._end_ids)
            assert not set(c.tokens[:-1]) & policy._end_ids
            assert c.finished or len(c.tokens) == 3
            shown = c.tokens[:-1] if c.finished else c.tokens
            assert c.text == policy.tokenizer.decode(list(shown), skip_special_tokens=True).strip()


def test_draws_do_not_depend_on_the_batch(built: Built) -> None:
    asked = mixed()
    sampling = Sampling(n=16, temperature=1.0, max_tokens=6)
    together = built.policy(batch_size=16).generate(asked, sampling)
    assert together == built.policy(batch_size=1).generate(asked, sampling)
    assert together[9:] + together[:9] == built.policy(batch_size=7).generate(asked[9:] + asked[:9], sampling)


def test_another_seed_stream_or_id_draws_otherwise(built: Built) -> None:
    asked = question(1, 0.8)
    sampling = Sampling(n=8, temperature=1.0, max_tokens=6)

    def draw(seed: int = 1, id_: str = "q1", stream: str = "predict") -> Group:
        renamed = Question(id_, asked.audio, asked.question, asked.choices, asked.prompt)
        return built.policy().generate([renamed], replace(sampling, stream=stream, seed=seed))[0]

    first = draw()
    assert draw() == first
    for other in (draw(seed=2), draw(id_="q2"), draw(stream="votes")):
        assert (other.completions, other.counts) != (first.completions, first.counts)


def test_asking_again_gives_the_same_draws(policy: HFPolicy) -> None:
    sampling = Sampling(n=8, temperature=1.0, max_tokens=4)
    assert policy.generate(mixed(4), sampling) == policy.generate(mixed(4), sampling)


def chi_square(observed: Counter[int], expected: np.ndarray) -> float:
    """The p-value of counts against expected counts (V,), rare tokens pooled."""
    common = np.flatnonzero(expected >= 8)
    got = [observed[int(token)] for token in common] + [
        sum(n for token, n in observed.items() if token not in set(common.tolist()))
    ]
    want = [*expected[common], expected.sum() - expected[common].sum()]
    assert len(common) >= 5 and sum(got) == pytest.approx(sum(want))
    if want[-1] < 1e-9:
        assert got.pop() == 0
        want.pop()
    return float(stats.chisquare(got, want).pvalue)


def test_first_tokens_follow_the_models_probabilities(built: Built, policy: HFPolicy) -> None:
    """64 samples drawn together have the distribution of 64 draws from softmax(logits / temperature)."""
    asked = question(2, 0.7)
    exact = first_token_probabilities(policy, built.kind, asked)
    for temperature in (1.0, 0.7):
        observed: Counter[int] = Counter()
        for stream in range(40):
            sampling = Sampling(n=64, temperature=temperature, max_tokens=1, stream=f"s{stream}")
            [group] = policy.generate([asked], sampling)
            observed.update({c.tokens[0]: n for c, n in zip(group.completions, group.counts, strict=True)})
        assert observed.total() == 40 * 64
        sharpened = exact ** (1 / temperature)
        assert chi_square(observed, 40 * 64 * sharpened / sharpened.sum()) > 1e-3


def test_samples_of_a_group_are_independent(built: Built, policy: HFPolicy) -> None:
    """How often two samples of a group agree in their first token is the sum of squared probabilities."""
    asked = question(2, 0.7)
    exact = first_token_probabilities(policy, built.kind, asked)
    streams = 600
    pairs = 0
    for stream in range(streams):
        [group] = policy.generate([asked], Sampling(n=2, temperature=1.0, max_tokens=1, stream=f"p{stream}"))
        pairs += len(group.counts) == 1
    together = float((exact**2).sum())
    assert stats.binomtest(pairs, streams, together).pvalue > 1e-3


def test_later_tokens_follow_the_models_probabilities(built: Built, policy: HFPolicy) -> None:
    """The second token, given the most frequent first one: the shared cache is split to the right rows."""
    asked = question(2, 0.7)
    inputs = model_inputs(built.kind, policy.tokenizer, policy.encoder.checkpoint.extractor, asked)
    first = int(first_token_probabilities(policy, built.kind, asked).argmax())
    ids = torch.cat([inputs["input_ids"], torch.tensor([[first]])], dim=1)
    with torch.no_grad():
        logits = policy.model(**inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}).logits
    exact = torch.softmax(logits[0, -1].double(), -1).numpy()
    observed: Counter[int] = Counter()
    for stream in range(6):
        [group] = policy.generate([asked], Sampling(n=2000, temperature=1.0, max_tokens=2, stream=f"t{stream}"))
        for completion, n in zip(group.completions, group.counts, strict=True):
            if completion.tokens[0] == first and len(completion.tokens) == 2:
                observed[completion.tokens[1]] += n
    assert observed.total() > 300
    assert chi_square(observed, observed.total() * exact) > 1e-3


def test_top_p_keeps_the_nucleus_only(built: Built, policy: HFPolicy) -> None:
    asked = question(2, 0.7)
    exact = first_token_probabilities(policy, built.kind, asked)
    order = np.argsort(-exact)
    size = int(np.searchsorted(np.cumsum(exact[order]), 0.5)) + 1  # the token that crosses the bound stays
    nucleus = np.zeros_like(exact)
    nucleus[order[:size]] = exact[order[:size]]
    [group] = policy.generate([asked], Sampling(n=3000, temperature=1.0, top_p=0.5, max_tokens=1))
    observed = Counter({c.tokens[0]: n for c, n in zip(group.completions, group.counts, strict=True)})
    assert set(observed) <= set(order[:size].tolist())
    assert chi_square(observed, 3000 * nucleus / nucleus.sum()) > 1e-3
    [top] = policy.generate([asked], Sampling(n=50, temperature=1.0, top_p=1e-9, max_tokens=1))
    assert [c.tokens for c in top.completions] == [(int(order[0]),)] and top.counts == (50,)


def test_greedy_counts_all_samples(policy: HFPolicy) -> None:
    [group] = policy.generate([question(1, 0.5)], Sampling(n=5, max_tokens=4))
    assert group.counts == (5,) and len(group.completions) == 1


def test_a_completion_that_is_cut_is_not_finished(built: Built, policy: HFPolicy) -> None:
    asked = mixed()
    for limit in (1, 4):
        for group in policy.generate(asked, Sampling(max_tokens=limit)):
            [completion] = group.completions
            assert len(completion.tokens) <= limit
            assert completion.finished == (completion.tokens[-1] in policy._end_ids)
            assert completion.finished or len(completion.tokens) == limit
    default = built.policy(max_tokens=3).generate(asked[:2], Sampling())
    assert max(len(group.completions[0].tokens) for group in default) == 3
    drawn = policy.generate(asked, Sampling(n=32, temperature=1.0, max_tokens=12))
    assert {c.finished for g in drawn for c in g.completions} == {True, False}


def test_an_answer_that_ends_at_once_is_empty(built: Built) -> None:
    policy = built.policy()
    eos = policy.tokenizer.eos_token_id
    hidden: list[torch.Tensor] = []
    hook = policy.model.lm_head.register_forward_pre_hook(lambda module, args: hidden.append(args[0]))
    asked = [question(1, 0.5)]
    policy.generate(asked, Sampling(max_tokens=1))
    hook.remove()
    with torch.no_grad():
        policy.model.lm_head.weight[eos] = hidden[0][0] * 100
    [group] = policy.generate(asked, Sampling(n=3, temperature=1.0, max_tokens=5))
    assert group.counts == (3,)
    assert group.completions[0].tokens == (eos,) and group.completions[0].finished
    assert group.completions[0].text == "" == group.best()
