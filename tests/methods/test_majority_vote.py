"""majority_vote on a scripted policy."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from tests.methods.scripted import CHOICES, QUESTIONS, VIEWED, VOTES, Watched, make, script, texts
from tests.rl.fake_policy import Drawn, FakeGenerator, make_question, tagged


def test_majority_vote_answers_with_the_winning_option() -> None:
    method, policy = make("majority_vote", votes=4), FakeGenerator(script)
    predictions = method.predict(policy, QUESTIONS)
    assert texts(predictions) == [tagged("dog"), tagged("owl"), "no idea", tagged("cat")]
    votes = [[{c.text: n for c, n in zip(g.completions, g.counts, strict=True)} for g in p.groups] for p in predictions]
    assert votes == [[VOTES[question.id]] for question in QUESTIONS], "the votes behind an answer go with it"
    assert [p.confidence for p in predictions] == [1.0, 0.5, 0.0, 0.75], "the winner's share of all samples"
    assert {(sampling.n, sampling.temperature) for _, sampling in policy.asked} == {(4, 1.0)}


def test_majority_vote_breaks_ties_by_its_seed() -> None:
    questions = [make_question(str(i), CHOICES) for i in range(40)]

    def responses(seed: int) -> list[str]:
        policy = FakeGenerator(lambda question, sampling: {"cat": 2, "owl": 2})
        said = texts(make("majority_vote", seed).predict(policy, questions))
        assert {sampling.seed for _, sampling in policy.asked} == {seed}
        return said

    assert set(responses(0)) == {tagged("cat"), tagged("owl")}
    assert responses(0) == responses(0) != responses(1)


def test_majority_vote_over_views_counts_the_original_options() -> None:
    """In each view the samples name another letter for the same option; 7 votes on 3 views are 3, 2 and 2."""

    def letters(question: Question, sampling: Sampling) -> Drawn:
        right, wrong = ("ABC"[question.choices.index(option)] for option in ("owl", "dog"))
        return {tagged(right): sampling.n - 1, tagged(wrong): 1}

    policy = Watched(letters)
    method = make("majority_vote", votes=7, views="choices+paraphrase", n_views=3)
    predictions = method.predict(policy, VIEWED)
    assert texts(predictions) == [tagged("owl")] * 4 and {len(p.groups) for p in predictions} == {3}
    assert Counter(s.stream for _, s in policy.questions) == {f"vote/view{i}": 4 for i in range(3)}
    assert [policy.questions[4 * i][1].n for i in range(3)] == [3, 2, 2] and policy.samples == 4 * 7
    assert len({question.choices for question, _ in policy.questions}) > 3
    assert {question.question for question, _ in policy.questions} == {"Which?", "What?"}


def test_majority_vote_over_views_is_not_misled_by_a_place() -> None:
    """A policy that always says the first option: in one plain view it wins, over many views no place does."""
    policy = Watched(lambda question, sampling: {"A": sampling.n})
    questions = [replace(question, id=str(i)) for i in range(40) for question in VIEWED[:1]]
    assert set(texts(make("majority_vote", votes=8).predict(policy, questions))) == {tagged("cat")}
    viewed = make("majority_vote", votes=8, views="choices", n_views=8).predict(policy, questions)
    assert set(texts(viewed)) == {tagged(option) for option in CHOICES}


def test_majority_vote_over_more_views_than_votes() -> None:
    policy = Watched(lambda question, sampling: {tagged("cat"): sampling.n})
    make("majority_vote", votes=2, views="choices", n_views=8).predict(policy, VIEWED[:1])
    assert [s.n for _, s in policy.questions] == [1, 1]
