"""The plain engine, which repeats prompts: on a model that both engines can run it gives what the shared one gives."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from audio_eval.models.hf.families.omni import Omni
from audio_eval.models.hf.families.qwen2_audio import Qwen2Audio
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import Sampling
from tests.models.checkpoints import question
from tests.models.conftest import Built
from tests.models.training import advantages_of, assert_same_gradients, both_ways, groups_of, settings, started, step

ASKED = [question(1, 0.4), question(2, 1.3), question(3), question(4, 2.1)]


class PlainOmni(Omni):
    engine = "plain"


class PlainQwen2Audio(Qwen2Audio):
    engine = "plain"


PLAIN = {"omni": PlainOmni, "qwen2_audio": PlainQwen2Audio}


def plain(built: Built, policy: HFPolicy) -> HFPolicy:
    policy.checkpoint.family = PLAIN[built.kind]()
    return policy


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(max_tokens=12),
        Sampling(n=16, temperature=1.0, max_tokens=8, stream="vote"),
        Sampling(n=5, temperature=0.3),
    ],
)
def test_the_same_groups_are_drawn(built: Built, sampling: Sampling) -> None:
    """Rows branch, end and leave the batch on the way; a second call reads the prefill that was kept."""
    sampling = replace(sampling, max_tokens=sampling.max_tokens or 4)
    want = built.policy().generate(ASKED, sampling)
    policy = plain(built, built.policy())
    assert policy.generate(ASKED, sampling) == want
    assert policy.generate(ASKED[1:3], sampling) == want[1:3] and policy._prefills.computed == len(ASKED)
    if sampling.n > 1:
        assert max(len(group.completions) for group in want) > 2, "rows that do not branch would prove nothing"


@both_ways
def test_gradients_and_logprobs_are_the_same(built: Built, tune: str) -> None:
    shared, other = started(built, settings(tune)), plain(built, started(built, settings(tune)))
    groups = groups_of(shared, questions=ASKED)
    advantages = advantages_of(groups)
    for one, two in zip(shared.logprobs(groups), other.logprobs(groups), strict=True):
        for a, b in zip(one.completions, two.completions, strict=True):
            torch.testing.assert_close(torch.tensor(a.logprobs), torch.tensor(b.logprobs), rtol=1e-5, atol=1e-5)
    (want, one), (got, two) = step(shared, groups, advantages), step(other, groups, advantages)
    assert_same_gradients(got, want)
    assert one["loss"] == pytest.approx(two["loss"], abs=1e-6) and one["updates"] == two["updates"] == 1
