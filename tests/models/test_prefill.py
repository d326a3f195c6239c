"""A prompt is forwarded once while the weights stay as they are, and anew as soon as one has changed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.policy import Sampling, Training
from tests.models.checkpoints import question
from tests.models.conftest import Built

VOTES = Sampling(n=6, temperature=1.0, max_tokens=6, stream="vote")


def fresh(policy: HFPolicy) -> HFPolicy:
    """The same policy without what it keeps."""
    policy._prefills.drop()
    return policy


@pytest.mark.parametrize("subset", [[0, 1, 2, 3], [2, 0], [3]])
def test_the_same_questions_again(omni: Built, subset: list[int]) -> None:
    policy, asked = omni.policy(), [question(i, 0.3 + 0.2 * i) for i in range(4)]
    policy.generate(asked, VOTES)
    again = [asked[i] for i in subset]
    kept = policy.generate(again, VOTES.keyed("attempt1"))
    assert policy._prefills.computed == 4
    assert kept == fresh(policy).generate(again, VOTES.keyed("attempt1"))
    assert policy._prefills.computed == 4 + len(subset)


def test_another_question_among_them(omni: Built) -> None:
    policy = omni.policy()
    policy.generate([question(1, 0.5), question(2, 0.5)], VOTES)
    policy.generate([question(2, 0.5), question(3, 0.5)], VOTES)
    assert policy._prefills.computed == 4


@pytest.mark.parametrize("training", [Training(lr=0.1), Training(tune="full", lr=0.01)], ids=["lora", "full"])
def test_a_step_makes_it_stale(omni: Built, training: Training, tmp_path_factory: pytest.TempPathFactory) -> None:
    policy, asked = omni.policy(), [question(i, 0.5) for i in range(2)]
    policy.begin_training(training, 3)
    folder = tmp_path_factory.mktemp("before")
    policy.save(folder)
    before = policy.generate(asked, VOTES)
    policy.train_step(before, [np.linspace(-1, 1, len(group.counts)) for group in before])
    after = policy.generate(asked, VOTES)
    assert after != before and after == fresh(policy).generate(asked, VOTES)
    policy.load(folder)
    assert policy.generate(asked, VOTES) == before, "loaded weights are other weights too"
    policy.reset()
    base = policy.generate(asked, VOTES)
    assert base == fresh(policy).generate(asked, VOTES)


def test_any_write_to_a_weight_counts(omni: Built) -> None:
    policy, asked = omni.policy(), [question(1, 0.5)]
    greedy = Sampling(max_tokens=6)
    policy.generate(asked, greedy)
    with torch.no_grad():
        policy.model.model.language_model.layers[0].mlp.down_proj.weight.mul_(-1.0)
    changed = policy.generate(asked, greedy)
    assert changed == fresh(policy).generate(asked, greedy)


def test_a_large_batch_is_not_kept(omni: Built) -> None:
    policy = HFPolicy("m", str(omni.folder), engine=EngineSettings(prefill_tokens=10))
    for _ in range(2):
        policy.generate([question(1, 0.5)], VOTES)
    assert policy._prefills.computed == 2 and policy._prefills._kept is None
