"""choice_likelihood: every option is scored by its likelihood as the answer, and the likeliest wins. No sampling.

With ``views`` the log-probabilities are averaged over several views of each item, such as other orders of the options.
With ``prior=pride`` the model's prior for the places of options is estimated on a share of the items, without their
answers, and taken off (PriDe, arXiv 2309.03882).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from audio_eval.group import Group
from audio_eval.method import Cost, Method, MethodConfig, Prediction
from audio_eval.models.policy import Policy, scoring
from audio_eval.questions import Question
from audio_eval.rl.likelihood import (
    Normalise,
    Priors,
    asked_views,
    by_option,
    likeliest,
    pooled,
    score_options,
    view_count,
)
from audio_eval.rl.position_prior import MOST_OPTIONS, Orders, ask_in_all_orders, estimate
from audio_eval.rl.session import Session
from audio_eval.rl.views import View, Viewing, parse_kinds


class Config(MethodConfig, Viewing):
    """Settings of choice_likelihood. The share of items for the prior is PriDe's."""

    normalise: Normalise = Field(
        "sum", description="an option's score: the sum of its tokens' log-probabilities, or their mean per token"
    )
    prior: Literal["none", "pride"] = Field(
        "none", description="pride: take off the model's prior for the places of options"
    )
    prior_share: float = Field(
        0.05, gt=0, le=1, description="prior=pride: share of the items that are asked in all orders to estimate it"
    )


class ChoiceLikelihood(Method):
    """Answers with the likeliest option. An item without options, or that cannot be heard, has no answer."""

    name = "choice_likelihood"
    summary = "the option with the highest likelihood, nothing sampled; views=... averages over views of each item"
    paper = "PriDe, arXiv 2309.03882 (prior=pride)"
    Config = Config
    needs_choices = True
    config: Config

    def __init__(self, config: MethodConfig | None = None, seed: int = 0) -> None:
        super().__init__(config, seed)
        self.orders: Orders = {}  # what ``adapt`` found for the prior
        self.priors: Priors = {}

    @property
    def transductive(self) -> bool:
        """The prior is estimated on scored items, without their answers."""
        return self.config.prior == "pride"

    @property
    def needs_logprobs(self) -> bool:
        """Options are given completions."""
        return True

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """Every view once; for the prior, a share of the items in all orders."""
        c = self.config
        estimating = math.ceil(c.prior_share * adapted) * MOST_OPTIONS if c.prior == "pride" else 0
        return Cost(scored=scored * view_count(c) + estimating)

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Estimate the prior, if there is to be one. The weights stay as they are."""
        c = self.config
        if c.prior == "pride":
            self.orders = ask_in_all_orders(scoring(policy), questions, c.prior_share, run, c.normalise)
            self.priors = estimate(self.orders, c.normalise)
            run.note("position_prior", {n: np.exp(prior).round(4).tolist() for n, prior in self.priors.items()})

    def predict(self, policy: Policy, questions: Sequence[Question]) -> list[Prediction | str]:
        """The likeliest option in the standard answer format, with the log-probabilities of all options."""
        c, scorer = self.config, scoring(policy)
        # as in the paper, an item that was asked in all orders is answered by them; over these the prior cancels out
        known = {} if parse_kinds(c.views) else self.orders
        asked = [question for question in questions if question not in known]
        views = asked_views(asked, c, self.seed)
        groups = [score_options(scorer, [view.question for view in of_all]) for of_all in views]
        of_each = zip(zip(*groups, strict=True), zip(*views, strict=True), strict=True)
        found = known | dict(zip(asked, of_each, strict=True))
        return [self._answer(question, *found[question]) for question in questions]

    def _answer(self, question: Question, groups: Sequence[Group], views: Sequence[View]) -> Prediction:
        in_views = by_option(groups, views, self.config.normalise, self.priors)
        vote = likeliest(question, in_views, self.seed)
        return Prediction(
            "" if vote.choice is None else f"<answer>{question.choices[vote.choice]}</answer>",
            confidence=None if vote.choice is None else vote.confidence,
            likelihoods={question.choices[option]: round(x, 6) for option, x in pooled(in_views).items()},
        )
