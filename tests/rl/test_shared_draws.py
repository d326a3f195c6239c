"""Draws that runs of one command share: what counts as the same draw, and who is charged for it."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from audio_eval.audio import AudioRef
from audio_eval.group import Completion, Group
from audio_eval.models.policy import Sampling, Training
from audio_eval.rl.meter import Meter, metered
from audio_eval.rl.shared_draws import SharedDraws
from audio_eval.usage import Usage
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


def test_the_same_draw_is_made_once_and_counted_for_each_run(policy: FakePolicy, tmp_path: Path) -> None:
    shared = SharedDraws(policy, "t", tmp_path)
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
def test_another_draw_is_another_draw(other: dict, policy: FakePolicy, tmp_path: Path) -> None:
    shared = SharedDraws(policy, "t", tmp_path)
    run(policy, shared)
    _, meter = run(policy, shared, **other)
    assert len(policy.asked) > 3 and meter.earlier_seconds == 0.0


def test_what_a_policy_in_training_draws_is_not_kept(policy: FakePolicy, tmp_path: Path) -> None:
    shared = SharedDraws(policy, "t", tmp_path)
    run(policy, shared, trained=True)
    run(policy, shared)
    assert len(policy.asked) == 6


def test_single_answers_are_not_kept(policy: FakePolicy, tmp_path: Path) -> None:
    shared = SharedDraws(policy, "t", tmp_path)
    for _ in range(2):
        run(policy, shared, sampling=Sampling(seed=0))
    assert len(policy.asked) == 6


def test_recordings_without_a_file_are_told_apart_by_their_bytes(policy: FakePolicy, tmp_path: Path) -> None:
    shared = SharedDraws(policy, "t", tmp_path)
    for data in (b"one", b"two", b"one"):
        shared.generate([replace(QUESTIONS[0], audio=AudioRef(data=data))], VOTE)
    assert len(policy.asked) == 2


def test_what_was_drawn_before_is_all_of_it(policy: FakePolicy, tmp_path: Path) -> None:
    said = (Completion("\ud800\n", (1, 2), False, (-0.1, -1e-30)), Completion("a dog", None))
    groups = [
        Group(QUESTIONS[0], said, (7, 1), None, True, 1 / 3, 0.7, Usage(prompt_tokens=3)),
        Group(QUESTIONS[1], (), (), "no such file"),
    ]
    policy.generate = lambda questions, sampling: groups  # type: ignore[method-assign]
    shared = SharedDraws(policy, "t", tmp_path)
    assert shared.generate(QUESTIONS[:2], VOTE).groups is groups
    assert shared.generate(QUESTIONS[:2], VOTE).groups == groups and not list(tmp_path.iterdir())


@pytest.mark.parametrize("full", [True, False])
def test_what_cannot_be_kept_is_drawn_again(full: bool, policy: FakePolicy, tmp_path: Path) -> None:
    shared = SharedDraws(policy, "t", tmp_path if full else tmp_path / "gone")
    with io.FileIO("/dev/full", "r+") as file:
        shared._file = file if full else None
        assert run(policy, shared) == run(policy, shared)
    assert len(policy.asked) == 6


def test_memory_does_not_grow_with_the_votes(tmp_path: Path) -> None:
    """A batch of eight questions with eight votes of 100 tokens, which are 64 KiB, leaves less than 2."""
    policy = FakePolicy(lambda question, sampling: {str(vote) * 100: 1 for vote in range(8)})
    shared = SharedDraws(policy, "t", tmp_path)

    def draw(batches: range) -> int:
        for batch in batches:
            shared.generate([make_question(f"{batch}.{place}") for place in range(8)], VOTE)
            policy.asked.clear()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = draw(range(2))
        assert draw(range(2, 10)) - before < 8 * 2 * 1024
    finally:
        tracemalloc.stop()
