"""choice_likelihood on a scripted scorer: what it answers, what it asks, what it records and costs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.method import Cost, Prediction
from audio_eval.questions import Question
from audio_eval.rl.session import Session
from tests.methods.scripted import CHOICES, QUESTIONS, VIEWED, make, script, texts
from tests.rl.fake_policy import FakeGenerator, FakeScorer, make_question, option, tagged

PLACES = np.log([0.6, 0.3, 0.1])
CONTENT = {"cat": math.log(0.2), "dog": math.log(0.35), "owl": math.log(0.45)}


def knows(question: Question, text: str) -> list[float]:
    """It knows that it is the owl, but prefers the first places."""
    return [PLACES[question.choices.index(option(text))] + CONTENT[option(text)]]


def answers(policy: FakeScorer, questions: list[Question], folder: Path | None = None, **settings: object) -> list[str]:
    method = make("choice_likelihood", **settings)
    if folder is not None:
        method.adapt(policy, questions, Session(folder, 0, 3))
    return texts(method.predict(policy, questions))


def test_it_answers_with_the_likeliest_option_and_samples_nothing() -> None:
    policy = FakeScorer(likelihood=lambda question, text: [-1.0 if "dog" in text else -2.0])
    predictions = make("choice_likelihood").predict(policy, QUESTIONS)
    assert texts(predictions) == [tagged("dog")] * 4 and policy.asked == [] and policy.scored == QUESTIONS
    total = math.log(math.exp(-1) + 2 * math.exp(-2))
    for prediction in predictions:
        assert isinstance(prediction, Prediction) and prediction.groups == ()
        expected = {"cat": -2 - total, "dog": -1 - total, "owl": -2 - total}
        assert prediction.likelihoods == {key: round(value, 6) for key, value in expected.items()}


def test_the_sum_and_the_mean_per_token_differ() -> None:
    def by_length(question: Question, text: str) -> list[float]:
        return {"cat": [-2.0], "dog": [-1.0, -1.0, -1.0], "owl": [-9.0]}[option(text)]

    policy = FakeScorer(likelihood=by_length)
    assert answers(policy, QUESTIONS[:1], normalise="sum") == [tagged("cat")]
    assert answers(policy, QUESTIONS[:1], normalise="token") == [tagged("dog")]


def test_over_views_the_places_lose_their_weight() -> None:
    policy = FakeScorer(likelihood=knows)
    questions = [replace(question, id=str(i)) for i in range(20) for question in VIEWED[:1]]
    assert set(answers(policy, questions)) == {tagged("cat")}, ".6 x .2 beats .3 x .35 and .1 x .45"
    viewed = answers(policy, questions, views="choices", n_views=64)
    assert viewed.count(tagged("owl")) > 15
    assert len({question.choices for question in policy.scored}) == 6


def test_pride_takes_the_places_off(tmp_path: Path) -> None:
    policy = FakeScorer(likelihood=knows)
    questions = [replace(question, id=str(i)) for i in range(20) for question in VIEWED[:1]]
    method, session = make("choice_likelihood", prior="pride", prior_share=0.1), Session(tmp_path, 0, 3)
    method.adapt(policy, questions, session)
    assert session.notes == {"position_prior": {3: [0.6, 0.3, 0.1]}} and len(policy.scored) == 2 * 3
    assert set(texts(method.predict(policy, questions))) == {tagged("owl")}
    assert len(policy.scored) == 2 * 3 + 18, "what was asked in all orders is not asked again"
    assert len(policy.scored) <= method.cost(20, 20, 0).scored


def test_pride_on_all_items_is_the_mean_over_all_orders(tmp_path: Path) -> None:
    policy, questions = FakeScorer(likelihood=knows), VIEWED
    assert answers(policy, questions, tmp_path, prior="pride", prior_share=1.0) == [tagged("owl")] * 4
    assert len(policy.scored) == 4 * 3


def test_pride_corrects_each_view_too(tmp_path: Path) -> None:
    policy = FakeScorer(likelihood=knows)
    settings = {"prior": "pride", "prior_share": 0.25, "views": "choices", "n_views": 2}
    assert answers(policy, VIEWED, tmp_path, **settings) == [tagged("owl")] * 4
    assert len(policy.scored) == 1 * 3 + 4 * 2


def test_an_item_that_cannot_be_scored_has_no_answer() -> None:
    class Deaf(FakeScorer):
        def logprobs(self, groups):  # type: ignore[no-untyped-def]
            scored = super().logprobs(groups)
            return [Group(g.question, (), (), error="no audio") if g.question.id == "mute" else g for g in scored]

    questions = [*QUESTIONS, make_question("open", ())]
    assert answers(Deaf(likelihood=lambda q, text: [-float("cat" not in text)]), questions) == [
        tagged("cat"), tagged("cat"), "", tagged("cat"), "",
    ]  # fmt: skip


def test_a_policy_that_only_generates_is_refused() -> None:
    with pytest.raises(UserError, match="can only generate: a method that scores given completions") as error:
        make("choice_likelihood").predict(FakeGenerator(script), QUESTIONS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "cost"),
    [
        ({}, Cost(scored=7)),
        ({"views": "choices", "n_views": 5}, Cost(scored=35)),
        ({"prior": "pride", "prior_share": 0.05}, Cost(scored=7 + 8)),
        ({"prior": "pride", "prior_share": 1.0, "views": "shift"}, Cost(scored=7 * 8 + 20 * 8)),
    ],
)
def test_cost(settings: dict[str, object], cost: Cost) -> None:
    assert make("choice_likelihood", **settings).cost(20, 7, 0) == cost


def test_what_it_says_of_itself() -> None:
    plain, pride = make("choice_likelihood"), make("choice_likelihood", prior="pride")
    assert plain.needs_logprobs and not plain.trains and not plain.transductive
    assert pride.transductive, "the prior is that of the scored items"
    assert CHOICES == ("cat", "dog", "owl")
