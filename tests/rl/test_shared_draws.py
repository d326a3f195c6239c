"""Draws that runs of one command share: what counts as the same draw, and who is charged for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audio_eval.models.policy import Sampling, Training
from audio_eval.rl.meter import Meter, metered
from audio_eval.rl.shared_draws import SharedDraws
from tests.rl.fake_policy import FakePolicy, make_question

QUESTIONS = [make_question(id_) for id_ in "abc"]
VOTE = Sampling(8, 1.0, stream="vote", seed=0)


def run(policy: FakePolicy, shared: SharedDraws, questions=QUESTIONS, sampling: Sampling = VOTE, trained: bool = False):
    """A run that draws, with a meter of its own."""
    meter = Meter()
    counted = metered(policy, meter, 0, shared)
    if trained:
        counted.begin_training(Training(), 0)
    return counted.generate(questions, sampling), meter


@pytest.fixture
def policy() -> FakePolicy:
    return FakePolicy(lambda question, sampling: {question.id: sampling.n})


def test_the_same_draw_is_made_once_and_counted_for_each_run(policy: FakePolicy) -> None:
    shared = SharedDraws(policy, "t")
    first, one = run(policy, shared)
    second, two = run(policy, shared)
    assert first == second and len(policy.asked) == 3
    assert one.samples == two.samples == 24
    assert one.earlier_seconds == 0.0 < two.earlier_seconds


@pytest.mark.parametrize(
    "other",
    [
        {"questions": QUESTIONS[:2]},
        {"questions": QUESTIONS[::-1]},
        {"questions": [replace(QUESTIONS[0], prompt="Which one?"), *QUESTIONS[1:]]},
        {"sampling": replace(VOTE, seed=1)},
        {"sampling": replace(VOTE, n=4)},
        {"sampling": replace(VOTE, temperature=0.5)},
        {"sampling": replace(VOTE, stream="vote/view0")},
        {"trained": True},
    ],
)
def test_another_draw_is_another_draw(other: dict, policy: FakePolicy) -> None:
    shared = SharedDraws(policy, "t")
    run(policy, shared)
    _, meter = run(policy, shared, **other)
    assert len(policy.asked) > 3 and meter.earlier_seconds == 0.0


def test_what_a_policy_in_training_draws_is_not_kept(policy: FakePolicy) -> None:
    shared = SharedDraws(policy, "t")
    run(policy, shared, trained=True)
    run(policy, shared)
    assert len(policy.asked) == 6


def test_single_answers_are_not_kept(policy: FakePolicy) -> None:
    shared = SharedDraws(policy, "t")
    for _ in range(2):
        run(policy, shared, sampling=Sampling(seed=0))
    assert len(policy.asked) == 6
