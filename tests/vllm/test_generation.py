"""vLLM says what hf says: the same prompts, the same greedy tokens, the same distribution, the same failures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare

from audio_eval.audio import AudioRef
from audio_eval.edits import AudioEdit
from audio_eval.group import Group
from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from tests.models.checkpoints import clip, question
from tests.vllm.conftest import Pair, needs_vllm

pytestmark = needs_vllm
ITEMS = [question(i, 0.5 + 0.4 * (i % 7)) for i in range(100)]


def test_greedy_answers_of_100_items_are_equal(pair: Pair) -> None:
    ours = pair.hf.generate(ITEMS, Sampling())
    assert pair.vllm.generate(ITEMS, Sampling()) == ours
    assert len({group.completions[0].tokens for group in ours}) > 10
    ends = {group.completions[0].finished for group in ours}
    assert ends == {True, False} or pair.kind == "qwen2_audio"


def test_greedy_samples_are_one_answer_counted(pair: Pair) -> None:
    [group] = pair.vllm.generate(ITEMS[:1], Sampling(n=5))
    assert group == pair.hf.generate(ITEMS[:1], Sampling(n=5))[0]
    assert group.counts == (5,)


def test_an_answer_ends_at_a_stop_string_as_in_hf(pair: Pair) -> None:
    plain = pair.hf.generate(ITEMS[:12], Sampling())
    longest = max((group.completions[0].text for group in plain), key=len)
    sampling = Sampling(stop=(longest[3:5], longest[-2:]))
    ours = pair.hf.generate(ITEMS[:12], sampling)
    assert pair.vllm.generate(ITEMS[:12], sampling) == ours
    assert ours != plain


def test_what_is_no_audio_long_or_not_there_fails_alike(pair: Pair) -> None:
    asked = [
        replace(ITEMS[0], id="broken", audio=AudioRef(data=b"RIFF....WAVE no audio")),
        replace(ITEMS[1], id="missing", audio=AudioRef(path="/nowhere.wav")),
        replace(ITEMS[2], id="several", more_audio=(clip(0.7, 5),)),
        question(3),
        replace(ITEMS[4], id="short", audio=clip(0.02, 4)),
        replace(ITEMS[5], id="edited", audio=ITEMS[5].audio.edited(AudioEdit(gain=0.5))),
    ]
    ours = pair.hf.generate(asked, Sampling())
    assert pair.vllm.generate(asked, Sampling()) == ours
    assert [group.error is None for group in ours] == [False, False, pair.kind == "qwen2_audio", True, True, True]


def test_long_audio_is_cut_as_in_hf(qwen2_audio: Pair) -> None:
    asked = [replace(ITEMS[0], audio=clip(33.0, 1))]
    [ours] = qwen2_audio.hf.generate(asked, Sampling(max_tokens=6))
    [theirs] = qwen2_audio.vllm.generate(asked, Sampling(max_tokens=6))
    assert theirs == ours and theirs.truncated and theirs.audio_seconds == 33.0


def test_a_prompt_that_is_too_long_is_an_error_of_its_item(pair: Pair) -> None:
    long = replace(ITEMS[0], id="long", prompt="猫" * 3000)  # several tokens each, and fewer bytes than the cap
    failed, good = pair.vllm.generate([long, ITEMS[1]], Sampling())
    assert failed.error and "4096" in failed.error and not failed.completions
    assert good == pair.hf.generate([ITEMS[1]], Sampling())[0]


def test_plain_tokens_are_continued_without_a_template(pair: Pair) -> None:
    tokens = tuple(pair.hf.tokenizer.encode("Which sound is heard first?"))
    asked = [Question("plain", None, "", (), "", tokens=tokens)]
    assert pair.vllm.generate(asked, Sampling()) == pair.hf.generate(asked, Sampling())


def drawn(groups: list[Group]) -> dict[tuple[int, ...], int]:
    return {c.token_ids: n for group in groups for c, n in zip(group.completions, group.counts, strict=True)}


@pytest.mark.parametrize("narrow", [{}, {"top_k": 5}, {"top_p": 0.6}], ids=["all", "top_k", "top_p"])
def test_samples_of_one_request_have_the_distribution(flamingo: Pair, narrow: dict[str, float]) -> None:
    """Of the first token, whose probabilities hf tells; seldom ones are counted together."""
    sampling = Sampling(n=2000, temperature=1.5, max_tokens=1, **narrow)
    counts = drawn(flamingo.vllm.generate(ITEMS[:1], sampling))
    assert sum(counts.values()) == 2000
    expected = 2000 * probabilities(flamingo, sampling)
    seen = np.zeros(len(expected))
    for (token,), n in counts.items():
        seen[token] = n
    assert not seen[expected == 0].any()
    often = expected >= 10
    rest = [(seen[~often].sum(), expected[~often].sum())] if expected[~often].sum() > 5 else []
    pairs = [*zip(seen[often], expected[often], strict=True), *rest]
    observed, wanted = np.array(pairs).T
    assert len(pairs) > 2
    assert chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue > 1e-4


def probabilities(pair: Pair, sampling: Sampling) -> np.ndarray:
    """Of each first token, from hf's log-probabilities at temperature 1, narrowed as the sampling says."""
    vocabulary = len(pair.hf.tokenizer)
    given = [replace(pair.hf.encode(ITEMS[0], ""), question=ITEMS[0])]
    completion = given[0].completions[0]
    every = Group(ITEMS[0], tuple(replace(completion, tokens=(t,)) for t in range(vocabulary)), (1,) * vocabulary)
    logprobs = np.array([c.logprobs[0] for c in pair.hf.logprobs([every])[0].completions])
    p = np.exp(logprobs / sampling.temperature)
    p /= p.sum()
    order = np.argsort(-p)
    kept = np.ones(vocabulary, bool)
    if sampling.top_k is not None:
        kept[order[sampling.top_k :]] = False
    if sampling.top_p < 1:
        kept[order[1:][p[order].cumsum()[:-1] >= sampling.top_p]] = False
    p = np.where(kept, p, 0)
    return p / p.sum()


def test_a_call_draws_the_same_again_and_other_streams_draw_others(pair: Pair) -> None:
    sampling = Sampling(n=16, temperature=1.0, seed=3)
    first = pair.vllm.generate(ITEMS[:6], sampling)
    pair.vllm.generate(ITEMS[6:9], sampling)
    assert pair.vllm.generate(ITEMS[:6], sampling) == first
    for other in (sampling.keyed("step1"), replace(sampling, seed=4)):
        assert pair.vllm.generate(ITEMS[:6], other) != first
    assert all(group.size == 16 and group.temperature == 1.0 for group in first)


def test_random_numbers_of_the_process_are_left_alone(flamingo: Pair) -> None:
    import random

    import torch

    torch.manual_seed(11), random.seed(11), np.random.seed(11)
    flamingo.vllm.generate(ITEMS[:2], Sampling(n=4, temperature=1.0))
    found = torch.initial_seed(), torch.rand(1).item(), random.random(), np.random.rand()
    torch.manual_seed(11), random.seed(11), np.random.seed(11)
    assert found == (11, torch.rand(1).item(), random.random(), np.random.rand())


def test_given_completions_have_the_log_probabilities_of_hf(pair: Pair) -> None:
    asked = [*ITEMS[:4], question(200), replace(ITEMS[7], id="broken", audio=AudioRef(data=b"no audio"))]
    groups = [
        pair.hf.encode(one, f"<answer>{choice}</answer>").joined(pair.hf.encode(one, choice))
        for one, choice in zip(asked, ["a dog", "bell", "", "high low", "first", "x"], strict=True)
    ]
    groups[0] = groups[0].joined(pair.hf.generate(ITEMS[:1], Sampling())[0])
    assert [pair.vllm.encode(one, "a dog") for one in asked] == [pair.hf.encode(one, "a dog") for one in asked]
    ours, theirs = pair.hf.logprobs(groups), pair.vllm.logprobs(groups)
    for one, other in zip(ours, theirs, strict=True):
        assert (other.error, other.audio_seconds) == (one.error, one.audio_seconds)
        for a, b in zip(one.completions, other.completions, strict=True):
            assert (b.tokens, b.greedy) == (a.tokens, a.greedy)
            np.testing.assert_allclose(b.logprobs, a.logprobs, atol=2e-4)
    assert ours[0].completions[2].greedy and not ours[0].completions[0].greedy
    assert theirs[5].error
