"""What was asked batch by batch is on the disk: in memory is only what is made of it."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from audio_eval.group import Group
from audio_eval.methods.sari import Config, Sari
from audio_eval.models.policy import Sampling
from audio_eval.prompts import find
from audio_eval.questions import Example, Question
from audio_eval.rl.labels import Labelling, vote_labels
from audio_eval.rl.position_prior import ask_in_all_orders
from audio_eval.rl.session import Session
from tests.rl.fake_policy import FakePolicy, FakeScorer, make_question, tagged

CHOICES = ("cat", "dog", "owl")
QUESTIONS = [replace(make_question(str(number), CHOICES), template=find("west")) for number in range(20)]


class Watched:
    """The groups that a policy returned; of those before a batch only the last may still be there."""

    def __init__(self) -> None:
        self._groups: list[weakref.ref[Group]] = []

    def check(self) -> None:
        assert sum(group() is not None for group in self._groups) <= 2

    def add(self, groups: list[Group]) -> list[Group]:
        self._groups.extend(map(weakref.ref, groups))
        return groups

    @property
    def seen(self) -> int:
        return len(self._groups)


class WatchedScorer(FakeScorer):
    def __init__(self) -> None:
        super().__init__(likelihood=lambda question, text: [-1.0 - question.choices.index(text)])
        self.watched = Watched()

    def logprobs(self, groups: Sequence[Group]) -> list[Group]:
        self.watched.check()
        return self.watched.add(super().logprobs(groups))


class WatchedPolicy(FakePolicy):
    def __init__(self) -> None:
        super().__init__(lambda question, sampling: {tagged("dog"): 1, tagged("cat"): sampling.n - 1})
        self.watched = Watched()

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        if sampling.stream != "pass_rate":
            return super().generate(questions, sampling)
        self.watched.check()
        return self.watched.add(super().generate(questions, sampling))


@pytest.mark.parametrize("views", ["none", "choices"])
def test_scored_options_are_not_held(views: str, tmp_path: Path) -> None:
    policy = WatchedScorer()
    settings = Labelling.model_validate({"labels": "likelihood", "n_views": 2, "views": views})
    assert len(vote_labels(policy, QUESTIONS, settings, Session(tmp_path, 0, 2))) == 20
    assert policy.watched.seen == (20 if views == "none" else 40)


def test_options_in_all_orders_are_not_held(tmp_path: Path) -> None:
    policy = WatchedScorer()
    orders = ask_in_all_orders(policy, QUESTIONS, 1.0, Session(tmp_path, 0, 2))
    assert len(orders) == 20 and policy.watched.seen == 60


def test_samples_of_pass_rates_are_not_held(tmp_path: Path) -> None:
    policy = WatchedPolicy()
    examples = [Example(question, "dog") for question in QUESTIONS]
    settings = Config(chains="none", samples=4, steps=1, batch_size=2)
    Sari(settings).adapt(policy, (), Session(tmp_path, 0, 2, examples))
    assert policy.watched.seen == 20
