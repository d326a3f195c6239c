"""PriDe (arXiv 2309.03882): a model's prior for the places of options, estimated without answers and taken off.

Some items are asked in all cyclic orders of their options. There each option stands at each place once, so in the mean
of the log-probabilities by place the options cancel out, and what is left is the places' own share:

    P_prior(place | question) = softmax over places of mean over orders of log P(place | question, order)
    P_prior(place) = mean over the questions
    log P_debiased(option at a place) = log P(option) - log P_prior(place) + const

Priors are kept apart by the number of options. The paper's places are the letters of options, ours the places where
options are listed; the statement itself may or may not be a letter.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from audio_eval.group import Group
from audio_eval.models.policy import ScoresCompletions
from audio_eval.questions import Question
from audio_eval.rl.likelihood import Normalise, offered, option_logprobs, score_options, scores_alone
from audio_eval.rl.session import Session
from audio_eval.rl.views import View
from audio_eval.seeding import stream

MOST_OPTIONS = 8  # an item with more is not asked in all its orders; benchmarks have 2 to 8
Orders = dict[Question, tuple[list[Group], list[View]]]  # an item's options scored in each cyclic order


def ask_in_all_orders(
    policy: ScoresCompletions, questions: Sequence[Question], share: float, run: Session, normalise: Normalise = "sum"
) -> Orders:
    """Score a ``share`` of the questions, drawn at random, in all cyclic orders of their options, kept on the disk.

    Only a question whose options are all different can take part. The groups that are returned have scores alone.
    """
    fit = [q for q in questions if 2 <= len(q.choices) <= MOST_OPTIONS and len(offered(q)) == len(q.choices)]
    drawn = stream(run.seed, "position prior").permutation(len(fit))[: math.ceil(share * len(fit))]
    views = {fit[i]: cyclic_views(fit[i]) for i in sorted(drawn)}
    groups: dict[Question, list[Group]] = {question: [] for question in views}
    for order in range(max((len(q.choices) for q in views), default=0)):
        asked = [question for question in views if len(question.choices) > order]
        scored = run.reduced(
            f"orders{order}", [views[q][order].question for q in asked], lambda part: score_options(policy, part),
            lambda group: scores_alone(group, normalise),
        )  # fmt: skip
        for question, group in zip(asked, scored, strict=True):
            groups[question].append(group)
    heard = [question for question in views if all(group.completions for group in groups[question])]
    return {question: (groups[question], views[question]) for question in heard}


def cyclic_views(question: Question) -> list[View]:
    """The question with its options in each cyclic order: each option stands at each place once."""
    n = len(question.choices)
    orders = [tuple((place + first) % n for place in range(n)) for first in range(n)]
    return [View(question.worded(question.question, [question.choices[i] for i in o]), o) for o in orders]


def estimate(orders: Orders, normalise: Normalise) -> dict[int, np.ndarray]:
    """The log P_prior (n,) of the places, for each number of options n that was met."""
    found: dict[int, list[np.ndarray]] = defaultdict(list)
    for question, (groups, _) in orders.items():
        found[len(question.choices)].append(question_prior([option_logprobs(group, normalise) for group in groups]))
    return {n: np.log(np.mean(priors, axis=0)) for n, priors in sorted(found.items())}


def question_prior(by_place: Sequence[np.ndarray]) -> np.ndarray:
    """P_prior(place | question) (n,) from the log-probabilities (n,) by place in each cyclic order."""
    from scipy.special import softmax  # not above: `ls` starts without scipy

    return softmax(np.mean(by_place, axis=0))
