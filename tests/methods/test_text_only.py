"""A policy that returns text without tokens and cannot be trained, as one behind a server is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audio_eval.errors import UserError
from audio_eval.group import Completion, Group
from audio_eval.models.policy import Policy, Sampling, TrainablePolicy
from audio_eval.questions import Question
from audio_eval.rl.consensus.agreement import Comparing, agreement
from audio_eval.rl.meter import Meter, metered
from audio_eval.rl.monitors import statistics
from tests.methods.scripted import QUESTIONS, adapt, make, script, texts
from tests.rl.fake_policy import FakeGenerator, make_group, tagged


class TextOnly(FakeGenerator):
    def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        groups = super().generate(questions, sampling)
        return [replace(g, completions=tuple(Completion(c.text) for c in g.completions)) for g in groups]


def test_it_is_a_policy_that_cannot_be_trained() -> None:
    policy = TextOnly(script)
    assert isinstance(policy, Policy) and not isinstance(policy, TrainablePolicy) and not policy.info.trainable


def test_it_runs_direct() -> None:
    meter = Meter()
    predictions = make("direct").predict(metered(TextOnly(script), meter, 0), QUESTIONS)
    assert texts(predictions) == [f"greedy {question.id}" for question in QUESTIONS] and meter.samples == 4


def test_it_runs_majority_vote() -> None:
    predictions = make("majority_vote", votes=4).predict(TextOnly(script), QUESTIONS)
    assert texts(predictions) == [tagged("dog"), tagged("owl"), "no idea", tagged("cat")]
    assert all(c.tokens is None for p in predictions for g in p.groups for c in g.completions)


def test_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'fake' can only generate"):
        adapt(make("aqa_ttrl", votes=4), tmp_path, TextOnly(script))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="can only generate"):
        agreement(Comparing(reward="intuitor"), TextOnly(script), 0)([])


def test_text_without_tokens_cannot_be_trained_on() -> None:
    with pytest.raises(UserError, match="text without tokens"):
        _ = Completion("a dog").token_ids


def test_lengths_are_those_of_the_groups_with_tokens() -> None:
    known = make_group(QUESTIONS[0], {"four": 1, "ninechars": 3})
    unknown = Group(QUESTIONS[1], (Completion("no tokens"),), (2,))
    assert statistics([known, unknown])["length"] == pytest.approx(np.average([4, 9], weights=[1, 3]))
    assert "length" not in statistics([unknown])
