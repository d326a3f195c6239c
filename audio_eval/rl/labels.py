"""Pseudo-labels: the majority votes of a frozen policy, recorded as they are elected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from audio_eval.errors import UserError
from audio_eval.models.policy import Policy, Sampling
from audio_eval.questions import Example, Question
from audio_eval.rl.votes import Vote, majority_vote

if TYPE_CHECKING:
    from audio_eval.runs.session import Session


def elect_labels(
    policy: Policy, questions: Sequence[Question], votes: int, temperature: float, run: Session
) -> dict[str, Vote]:
    """A label for each question that any of its ``votes`` samples answered, by question id; the rest are skipped."""
    sampling = Sampling(n=votes, temperature=temperature, stream="vote")
    elected = {
        group.question.id: majority_vote(group, run.seed)
        for group in run.generate("votes", policy, questions, sampling)
    }
    run.record_labels(
        {
            "id": question.id,
            "choice": vote.choice,
            "label": None if vote.choice is None else question.choices[vote.choice],
            "confidence": vote.confidence,
            "tally": {question.choices[i]: n for i, n in vote.tally.items()},
            "unparsable": vote.unparsable,
            "entropy": round(vote.entropy, 6),
        }
        for question, vote in ((q, elected[q.id]) for q in questions)
    )
    labels = {id_: vote for id_, vote in elected.items() if vote.choice is not None}
    if not labels:
        raise UserError(
            "no sample of any question named an option: there is nothing to learn from. Try another --prompt."
        )
    return labels


def gold_labels(examples: Sequence[Example]) -> dict[str, int]:
    """The index of each example's answer among its choices; examples whose answer is not a choice are left out."""
    labels = {e.question.id: e.question.choices.index(e.answer) for e in examples if e.answer in e.question.choices}
    if not labels:
        raise UserError(
            "no item of the training task has an answer that is one of its options: choose another --train-task."
        )
    return labels
