"""Phi-4's rotary embeddings change beyond a length; which a question gets depends on its own length alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import Phi4MultimodalForCausalLM

from audio_eval.models.backends import load_policy
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import Sampling
from tests.models.checkpoints import question
from tests.models.families.phi4_multimodal import SHORT_CONTEXT, build


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> HFPolicy:
    folder: Path = tmp_path_factory.mktemp("phi4") / "checkpoint"
    build(folder)
    loaded = load_policy(str(folder))
    assert isinstance(loaded, HFPolicy)
    return loaded


def test_frequencies_are_transformers_own_for_a_single_row(policy: HFPolicy) -> None:
    config = policy.model.config
    theirs = Phi4MultimodalForCausalLM(config).model.rotary_emb
    for length in (SHORT_CONTEXT, SHORT_CONTEXT + 1):
        positions = torch.arange(length)[None]
        ours = policy.model.model.rotary_emb(torch.zeros(1), positions)
        for got, want in zip(ours, theirs(torch.zeros(1), positions), strict=True):
            assert torch.equal(got, want)


def test_a_short_question_beside_a_long_one(policy: HFPolicy) -> None:
    """45 s are 563 embeddings, more than the tests' limit of 512."""
    asked = [question(1, 1.0), question(2, 45.0)]
    lengths = [prompt.tokens for prompt in map(policy.encoder.ask, asked)]
    assert lengths[0] + 8 < SHORT_CONTEXT < lengths[1]
    sampling = Sampling(n=2, temperature=0.7, max_tokens=8, stream="vote")
    alone = [policy.generate([one], sampling)[0] for one in asked]
    assert policy.generate(asked, sampling) == alone
    together, apart = policy.logprobs(alone), [policy.logprobs([group])[0] for group in alone]
    for a, b in zip(together, apart, strict=True):
        for x, y in zip(a.completions, b.completions, strict=True):
            torch.testing.assert_close(torch.tensor(x.logprobs), torch.tensor(y.logprobs), rtol=1e-5, atol=1e-5)
