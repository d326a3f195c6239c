"""How many questions a batch has on a GPU: by the card and the settings alone."""

from __future__ import annotations

import pytest

from audio_eval.models.hf import backend, decoding
from audio_eval.models.hf.question_batches import card_bytes, questions_of_card, questions_that_fit
from audio_eval.models.policy import Sampling
from audio_eval.runs.plan import plan
from tests.models.checkpoints import question
from tests.models.conftest import Built

GB = 10**9


@pytest.mark.parametrize(
    ("card", "questions"), [(8, 32), (25, 32), (51, 64), (85, 128), (151, 128), (192, 256), (900, 256)]
)
def test_questions_of_a_card(card: int, questions: int) -> None:
    assert questions_of_card(card * GB) == questions


def test_questions_that_fit(omni: Built) -> None:
    """2 layers x 2 key heads x 16 wide, keys and values, float32: 512 bytes a token."""
    checkpoint = omni.policy().checkpoint
    weights = sum(parameter.nbytes for parameter in checkpoint.model.parameters())
    each, prompts = 2 * 64 * 100 * 512, 2 * 4096 * 512
    total = round((2 * weights + 4 * GB + prompts + 77.5 * each) / 0.9)
    assert questions_that_fit(checkpoint, total, 4096, 64, 100) == 77
    assert questions_that_fit(checkpoint, total, 4096, 1, 100) == 64 * 77 + 32
    assert questions_that_fit(checkpoint, 5 * GB, 10**6, 64, 100) == 32, "the usual number is never lowered"


def test_generate_keeps_to_what_fits(omni: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    policy, batches = omni.policy(batch_size=40), []
    start = policy.decoding.start
    monkeypatch.setattr(
        policy.decoding, "start", lambda prompts: batches.append(len(prompts.lengths)) or start(prompts)
    )
    asked = [question(i) for i in range(40)]
    want = policy.generate(asked, Sampling(max_tokens=1))
    monkeypatch.setattr(decoding, "card_bytes", lambda device: 1)
    assert policy.generate(asked, Sampling(max_tokens=1)) == want
    assert batches == [40, 32, 8]


def test_the_number_is_in_the_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a resumed run has the same, and a number that the user gives counts."""
    flags = {"model": "tiny-omni", "tasks": "synth_aqa"}
    assert plan(flags)[0].batch_size == 32 and card_bytes("cpu") is None
    monkeypatch.setattr(backend.HF, "batch_size", lambda self, device: 128 if device is None else None)
    assert plan(flags)[0].batch_size == 128
    assert plan({**flags, "device": "cpu"})[0].batch_size == 32 and plan({**flags, "batch_size": 8})[0].batch_size == 8
