"""The likelihood of every option as the answer: what a policy would state, scored instead of sampled.

In a view of a question each option is stated as the prompt asks for it (``Question.stated``), with the token that ends
a response. With s the sum of the completion's token log-probabilities, or their mean per token,

    log P(option | view) = s(option) - log sum_j exp s(option_j)         over the options of the item
    log P(option) = mean over the views of log P(option | view)          by the item's own options

A prior of the places (rl/position_prior.py) is taken off s before the softmax.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from audio_eval.group import Completion, Group
from audio_eval.models.policy import ScoresCompletions
from audio_eval.questions import Question
from audio_eval.rl.views import View, Viewing, draw_view, parse_kinds, plain_view
from audio_eval.rl.votes import Vote
from audio_eval.scoring.options import prepare
from audio_eval.seeding import stream

Normalise = Literal["sum", "token"]
Priors = Mapping[int, np.ndarray]  # number of options -> log-probability (options,) of their places
ByOption = dict[int, float]  # the item's own option -> its log-probability in nats
Read = Callable[[Group], list[ByOption]]  # what is kept of a group: one element, none where it could not be scored
Ask = Callable[[str, Sequence[Question], Read], list[list[ByOption]]]


def asked_views(questions: Sequence[Question], c: Viewing, seed: int) -> list[list[View]]:
    """The questions in each view: as they are, or in ``n_views`` views, the same ones in which votes are cast."""
    kinds = parse_kinds(c.views)
    if not kinds:
        return [[plain_view(question) for question in questions]]
    return [[draw_view(question, kinds, seed, f"vote/view{i}") for question in questions] for i in range(c.n_views)]


def view_count(c: Viewing) -> int:
    """The number of views in which each question is asked."""
    return c.n_views if parse_kinds(c.views) else 1


def offered(question: Question) -> list[int]:
    """The options that can be the answer: of those with the same text the first, and no null slots."""
    return list(prepare(question.choices).first.values())


def score_options(policy: ScoresCompletions, questions: Sequence[Question]) -> list[Group]:
    """For each question the statements of its offered options, in order, with their log-probabilities."""
    return policy.logprobs([_statements(policy, question) for question in questions])


def _statements(policy: ScoresCompletions, question: Question) -> Group:
    groups = [policy.encode(question, question.stated(choice)) for choice in offered(question)]
    completions = tuple(completion for group in groups for completion in group.completions)
    return Group(question, completions, (1,) * len(completions))


def option_logprobs(group: Group, normalise: Normalise, prior: np.ndarray | None = None) -> np.ndarray:
    """The log P(option | view) (U,) of the offered options, empty where they were not scored.

    ``prior`` (U,) has the log-probabilities of the places where they are shown.
    """
    scores = np.array([_score(completion, normalise) for completion in group.completions], dtype=np.float64)
    if not len(scores):
        return scores
    from scipy.special import log_softmax  # not above: `ls` starts without scipy

    return log_softmax(scores if prior is None else scores - prior)


def _score(completion: Completion, normalise: Normalise) -> float:
    assert completion.logprobs, "a completion that was scored has at least the token that ends it"
    total = math.fsum(completion.logprobs)
    return total if normalise == "sum" else total / len(completion.logprobs)


def by_option(groups: Sequence[Group], views: Sequence[View], normalise: Normalise, priors: Priors) -> list[ByOption]:
    """The log P(option | view) by the item's own options, for each view of one item that could be scored."""
    found = []
    for group, view in zip(groups, views, strict=True):
        shown, prior = offered(view.question), priors.get(len(view.question.choices))
        logprobs = option_logprobs(group, normalise, None if prior is None else prior[shown])
        if len(logprobs):
            originals = (view.original(choice) for choice in shown)
            found.append({o: float(x) for o, x in zip(originals, logprobs, strict=True) if o is not None})
    return found


def likeliest_options(
    questions: Sequence[Question], c: Viewing, normalise: Normalise, seed: int, ask: Ask
) -> list[Vote]:
    """The likeliest option of each question; ``ask`` is given the name of each view, the questions in it, and what is
    to be kept of their groups.
    """
    views = asked_views(questions, c, seed)
    names = ["likelihoods"] if len(views) == 1 else [f"likelihoods-view{i}" for i in range(len(views))]
    found = [
        ask(name, [view.question for view in of_all], _reading(of_all, normalise))
        for name, of_all in zip(names, views, strict=True)
    ]
    of_each = zip(questions, zip(*found, strict=True), strict=True)
    return [likeliest(question, [one for in_view in scored for one in in_view], seed) for question, scored in of_each]


def _reading(views: Sequence[View], normalise: Normalise) -> Read:
    by_id = {view.question.id: view for view in views}
    return lambda group: by_option([group], [by_id[group.question.id]], normalise, {})


def scores_alone(group: Group, normalise: Normalise) -> Group:
    """The group with nothing but its completions' scores, which take a tenth of what their tokens take."""
    scores = (_score(completion, normalise) for completion in group.completions)
    return replace(group, completions=tuple(Completion("", logprobs=(score,)) for score in scores))


def pooled(in_views: Sequence[ByOption]) -> ByOption:
    """The log P(option), a mean over the views; empty where there are none."""
    options = sorted(in_views[0]) if in_views else []
    return {option: float(np.mean([of_view[option] for of_view in in_views])) for option in options}


def likeliest(question: Question, in_views: Sequence[ByOption], seed: int) -> Vote:
    """The likeliest option as a ``Vote``, which has none where nothing could be scored.

    Its tally has the probabilities of all options, the softmax of log P(option); the confidence is the winner's. A tie
    is broken at random, keyed by (seed, question id), as in a vote.
    """
    from scipy.special import softmax

    logprobs = pooled(in_views)
    if not logprobs:
        return Vote(None, 0.0, {}, 0, 0.0)
    most = max(logprobs.values())
    tied = [option for option, value in logprobs.items() if value == most]
    winner = tied[int(stream(seed, question.id, "tie").integers(len(tied)))]
    tally = dict(zip(logprobs, softmax(list(logprobs.values())).tolist(), strict=True))
    agreeing = sum(of_view[winner] == max(of_view.values()) for of_view in in_views)
    return Vote(winner, tally[winner], tally, 0, agreeing / len(in_views))
