"""Likelihoods of options: by hand, over views, with ties, duplicates and null slots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from audio_eval.group import Group
from audio_eval.models.policy import Sampling, ScoresCompletions, TrainablePolicy, scoring
from audio_eval.prompts import find
from audio_eval.questions import Question
from audio_eval.rl.likelihood import (
    ByOption,
    Read,
    asked_views,
    by_option,
    likeliest,
    likeliest_options,
    offered,
    option_logprobs,
    pooled,
    score_options,
    view_count,
)
from audio_eval.rl.meter import Meter, metered
from audio_eval.rl.views import View, Viewing, plain_view
from tests.rl.fake_policy import FakeGenerator, FakePolicy, FakeScorer, make_question, option
from tests.rl.test_views import viewable

CHOICES = ("cat", "dog", "owl")


def scorer(**tokens: list[float]) -> FakeScorer:
    """The log-probabilities of the tokens of ``<answer>option</answer>``, by option."""
    return FakeScorer(likelihood=lambda question, text: tokens[option(text)])


def test_by_hand() -> None:
    """Sums -3, -2, -4, means -1, -2, -4/3: the sum prefers the short option, the mean per token the probable tokens."""
    policy = scorer(cat=[-1.0, -1.0, -1.0], dog=[-2.0], owl=[-1.0, -2.0, -1.0])
    (group,) = score_options(policy, [make_question("a", CHOICES)])
    assert [c.text for c in group.completions] == [f"<answer>{option}</answer>" for option in CHOICES]
    total = math.log(math.exp(-3) + math.exp(-2) + math.exp(-4))
    assert option_logprobs(group, "sum") == pytest.approx([-3 - total, -2 - total, -4 - total])
    total = math.log(math.exp(-1) + math.exp(-2) + math.exp(-4 / 3))
    assert option_logprobs(group, "token") == pytest.approx([-1 - total, -2 - total, -4 / 3 - total])


def test_a_prior_is_taken_off_before_the_softmax() -> None:
    """P = (2, 3, 5) / 10 with a prior of (1, 1, 8) / 10 is (2, 3, 5/8) over their sum."""
    policy = scorer(cat=[math.log(0.2)], dog=[math.log(0.3)], owl=[math.log(0.5)])
    (group,) = score_options(policy, [make_question("a", CHOICES)])
    debiased = np.exp(option_logprobs(group, "sum", np.log([0.1, 0.1, 0.8])))
    assert debiased == pytest.approx(np.array([2, 3, 0.625]) / 5.625)


def test_views_are_averaged_in_the_logarithm_by_the_items_own_options() -> None:
    question = make_question("a", CHOICES)
    turned = View(replace(question, choices=("owl", "cat", "dog")), (2, 0, 1))
    policy = FakeScorer(likelihood=lambda asked, text: [math.log((0.5, 0.3, 0.2)[asked.choices.index(option(text))])])
    views = [plain_view(question), turned]
    in_views = by_option(score_options(policy, [view.question for view in views]), views, "sum", {})
    assert [np.exp(list(of_view.values())).tolist() for of_view in in_views] == [
        pytest.approx([0.5, 0.3, 0.2]), pytest.approx([0.5, 0.3, 0.2]),
    ]  # fmt: skip
    assert [list(of_view) for of_view in in_views] == [[0, 1, 2], [2, 0, 1]]
    geometric = np.sqrt([0.5 * 0.3, 0.3 * 0.2, 0.2 * 0.5])
    assert np.exp([pooled(in_views)[i] for i in range(3)]) == pytest.approx(geometric)
    vote = likeliest(question, in_views, 0)
    assert vote.choice == 0 and vote.confidence == pytest.approx(geometric[0] / geometric.sum())
    assert [vote.tally[i] for i in range(3)] == pytest.approx(geometric / geometric.sum())
    assert vote.agreement == 0.5, "in the second view the owl is the likeliest"


def test_a_prior_goes_by_the_place_where_an_option_is_shown() -> None:
    """A policy that only looks at places: with its own prior taken off, all options are alike in any order."""
    places = np.log([0.7, 0.2, 0.1])
    policy = FakeScorer(likelihood=lambda asked, text: [places[asked.choices.index(option(text))]])
    question = make_question("a", CHOICES)
    views = [plain_view(question), View(replace(question, choices=("owl", "cat", "dog")), (2, 0, 1))]
    groups = score_options(policy, [view.question for view in views])
    for of_view in by_option(groups, views, "sum", {3: places}):
        assert list(of_view.values()) == pytest.approx([-math.log(3)] * 3)


def test_of_options_with_the_same_text_the_first_is_meant_and_null_slots_are_not_offered() -> None:
    question = make_question("a", ("", "Dog", "cat", "dog", ""))
    assert offered(question) == [1, 2]
    policy = FakeScorer(likelihood=lambda asked, text: [-1.0 if "Dog" in text else -2.0])
    (group,) = score_options(policy, [question])
    assert [c.text for c in group.completions] == ["<answer>Dog</answer>", "<answer>cat</answer>"]
    vote = likeliest(question, by_option([group], [plain_view(question)], "sum", {}), 0)
    assert vote.choice == 1 and set(vote.tally) == {1, 2}


def test_the_same_options_in_another_order_have_the_same_index() -> None:
    """In the view "dog" stands before "Dog"; both mean the item's first of the two."""
    question = make_question("a", ("Dog", "cat", "dog"))
    view = View(replace(question, choices=("dog", "Dog", "cat")), (2, 0, 1))
    policy = FakeScorer(likelihood=lambda asked, text: [-1.0])
    (found,) = by_option(score_options(policy, [view.question]), [view], "sum", {})
    assert sorted(found) == [0, 1]


def test_ties_go_by_the_seed_and_the_question_not_by_the_place() -> None:
    questions = [make_question(str(i), CHOICES) for i in range(60)]
    groups = score_options(FakeScorer(), questions)

    def chosen(seed: int) -> list[int | None]:
        return [
            likeliest(q, by_option([g], [plain_view(q)], "sum", {}), seed).choice
            for q, g in zip(questions, groups, strict=True)
        ]

    assert set(chosen(0)) == {0, 1, 2} and chosen(0) == chosen(0) != chosen(1)


@pytest.mark.parametrize("question", [make_question("open", ()), make_question("null", ("", ""))])
def test_without_options_there_is_no_vote(question: Question) -> None:
    groups = score_options(FakeScorer(), [question])
    vote = likeliest(question, by_option(groups, [plain_view(question)], "sum", {}), 0)
    assert (vote.choice, vote.confidence, dict(vote.tally), vote.entropy) == (None, 0.0, {}, 0.0)


def test_a_view_that_cannot_be_heard_does_not_count() -> None:
    question = make_question("a", CHOICES)
    (heard,) = score_options(scorer(cat=[-1.0], dog=[-3.0], owl=[-3.0]), [question])
    broken = Group(question, (), (), error="unreadable")
    views = [plain_view(question)] * 2
    assert likeliest(question, by_option([broken, heard], views, "sum", {}), 0).choice == 0
    for priors in ({}, {3: np.log([0.5, 0.3, 0.2])}):
        assert likeliest(question, by_option([broken, broken], views, "sum", priors), 0).choice is None


def test_an_improbable_option_has_a_probability_of_zero_and_no_entropy() -> None:
    question = make_question("a", ("cat", "dog"))
    (group,) = score_options(scorer(cat=[-1.0], dog=[-5000.0]), [question])
    vote = likeliest(question, by_option([group], [plain_view(question)], "sum", {}), 0)
    assert dict(vote.tally) == {0: 1.0, 1: 0.0} and vote.entropy == 0.0


def test_the_views_are_those_that_vote() -> None:
    questions = [viewable("a"), viewable("b")]
    assert asked_views(questions, Viewing(), 3) == [[plain_view(q) for q in questions]]
    settings = Viewing(views="choices", n_views=5)
    assert len(asked_views(questions, settings, 3)) == view_count(settings) == 5 and view_count(Viewing()) == 1
    named: list[str] = []

    def ask(name: str, asked: Sequence[Question], read: Read) -> list[list[ByOption]]:
        named.append(name)
        return list(map(read, score_options(FakeScorer(), asked)))

    assert len(likeliest_options(questions, settings, "sum", 3, ask)) == 2
    assert named == [f"likelihoods-view{i}" for i in range(5)]


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("r1_aqa", "<answer>dog</answer>"),
        ("ke_omni_think", "<answer>dog</answer>"),
        ("audio_reasoner", "<RESPONSE>dog</RESPONSE>"),
        ("letter", "B"),
        ("mmsu_official", "B"),
        ("daily_omni_official", "B"),
        ("op_ttrav_boxed", "\\boxed{B}"),
        ("mmau_official", "dog"),
        ("west", "dog"),
    ],
)
def test_an_option_is_stated_as_the_prompt_asks(prompt: str, said: str) -> None:
    question = replace(make_question("a", ("cat", "dog")), template=find(prompt))
    (group,) = score_options(FakeScorer(), [question])
    assert group.completions[1].text == said


# --- who can score ---------------------------------------------------------------------------------------------------


def test_a_policy_says_whether_it_scores() -> None:
    generator, policy, trainable = FakeGenerator(lambda q, s: {}), FakeScorer(), FakePolicy(lambda q, s: {})
    assert isinstance(policy, ScoresCompletions) and not isinstance(policy, TrainablePolicy)
    assert isinstance(trainable, ScoresCompletions) and not isinstance(generator, ScoresCompletions)
    assert scoring(policy) is policy
    with pytest.raises(Exception, match="'fake' can only generate: a method that scores"):
        scoring(generator)


def test_what_is_scored_is_counted_as_samples() -> None:
    meter = Meter()
    policy = scoring(metered(FakeScorer(), meter, 0))
    assert not isinstance(policy, TrainablePolicy)
    score_options(policy, [make_question("a", CHOICES), make_question("b", ("cat", "dog"))])
    assert meter.samples == 5
    policy.generate([make_question("a")], Sampling())
    assert meter.samples == 5, "the fake draws nothing"
    assert not isinstance(metered(FakeGenerator(lambda q, s: {}), meter, 0), ScoresCompletions)
