"""PriDe: the prior of a policy whose places and contents are known is found, kept on the disk, and taken off."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.prompts import find
from audio_eval.questions import Question
from audio_eval.rl.likelihood import by_option, likeliest
from audio_eval.rl.position_prior import MOST_OPTIONS, ask_in_all_orders, cyclic_views, estimate, question_prior
from audio_eval.rl.session import Session
from tests.rl.fake_policy import FakeScorer, make_question

CHOICES = ("cat", "dog", "owl", "bee")
PLACES = np.array([0.5, 0.3, 0.15, 0.05])
CONTENT = {"cat": 0.1, "dog": 0.2, "owl": 0.3, "bee": 0.4}


def asked(id_: str, choices: tuple[str, ...] = CHOICES) -> Question:
    return replace(make_question(id_, choices), template=find("west"))


def biased(question: Question, text: str) -> list[float]:
    """P(option) is proportional to the prior of its place times the probability of its content."""
    return [math.log(PLACES[question.choices.index(text)] * CONTENT.get(text, 0.25))]


def test_each_option_stands_at_each_place_once() -> None:
    views = cyclic_views(asked("a"))
    shown = np.array([[CHOICES.index(option) for option in view.question.choices] for view in views])
    assert shown.shape == (4, 4)
    assert all(sorted(line) == [0, 1, 2, 3] for line in [*shown, *shown.T])
    assert all(view.original(view.question.choices.index("owl")) == 2 for view in views)
    assert all(str(list(view.question.choices)) in view.question.prompt for view in views)


def test_the_prior_is_found_and_taken_off(tmp_path: Path) -> None:
    policy, questions = FakeScorer(likelihood=biased), [asked(str(i)) for i in range(40)]
    orders = ask_in_all_orders(policy, questions, 0.05, Session(tmp_path, 0, 8))
    assert len(orders) == 2 and len(policy.scored) == 2 * 4
    priors = estimate(orders, "sum")
    assert list(priors) == [4] and np.exp(priors[4]) == pytest.approx(PLACES)
    groups, view = (of_first[:1] for of_first in next(iter(orders.values())))
    plain = likeliest(questions[0], by_option(groups, view, "sum", {}), 0)
    debiased = likeliest(questions[0], by_option(groups, view, "sum", priors), 0)
    assert plain.choice == CHOICES.index("dog"), ".3 x .2 beats .15 x .3 and .05 x .4"
    assert debiased.choice == CHOICES.index("bee")
    assert [debiased.tally[i] for i in range(4)] == pytest.approx(list(CONTENT.values()))


def test_over_all_orders_the_prior_cancels_out(tmp_path: Path) -> None:
    question = asked("a")
    orders = ask_in_all_orders(FakeScorer(likelihood=biased), [question], 1.0, Session(tmp_path, 0, 8))
    for priors in ({}, estimate(orders, "sum")):
        vote = likeliest(question, by_option(*orders[question], "sum", priors), 0)
        assert [vote.tally[i] for i in range(4)] == pytest.approx(list(CONTENT.values()))


def test_what_was_asked_is_read_back_from_the_disk(tmp_path: Path) -> None:
    questions = [asked(str(i)) for i in range(6)]
    first = ask_in_all_orders(FakeScorer(likelihood=biased), questions, 0.5, Session(tmp_path, 0, 2))
    again = FakeScorer(likelihood=biased)
    assert ask_in_all_orders(again, questions, 0.5, Session(tmp_path, 0, 2)) == first and not again.scored
    assert sorted(path.name for path in (tmp_path / "adapt").glob("[!.]*")) == [f"orders{i}.jsonl" for i in range(4)]


def test_which_items_are_asked_depends_on_the_seed_and_on_what_can_take_part(tmp_path: Path) -> None:
    twice, null = asked("twice", ("cat", "dog", "cat")), asked("null", ("cat", "", "dog"))
    many, alone = asked("many", tuple(f"o{i}" for i in range(MOST_OPTIONS + 1))), asked("alone", ("cat",))
    pair = asked("pair", ("cat", "dog"))
    questions = [twice, null, many, alone, pair, *(asked(str(i)) for i in range(9))]
    policy = FakeScorer(likelihood=biased)
    orders = ask_in_all_orders(policy, questions, 1.0, Session(tmp_path / "all", 0, 8))
    assert list(orders) == questions[4:], "those that can, in the order of the items"
    assert len(policy.scored) == 2 + 9 * 4 and set(estimate(orders, "sum")) == {2, 4}
    picked = [
        [q.id for q in ask_in_all_orders(policy, questions, 0.3, Session(tmp_path / str(seed), seed, 8))]
        for seed in (0, 0, 1)
    ]
    assert picked[0] == picked[1] != picked[2] and {len(ids) for ids in picked} == {3}


def test_without_an_item_that_can_take_part_there_is_no_prior(tmp_path: Path) -> None:
    orders = ask_in_all_orders(FakeScorer(), [asked("open", ())], 1.0, Session(tmp_path, 0, 8))
    assert orders == {} and estimate(orders, "sum") == {}


@given(st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3), st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3))
def test_the_priors_of_a_question_do_not_depend_on_its_contents(places: list[float], contents: list[float]) -> None:
    """Where P is a product of both, the estimate is exact."""
    prior = np.array(places) / sum(places)
    observed = []
    for first in range(3):
        product = prior * np.roll(contents, -first)
        observed.append(np.log(product / product.sum()))
    assert question_prior(observed) == pytest.approx(prior)
