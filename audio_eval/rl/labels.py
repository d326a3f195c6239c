"""Pseudo-labels of the policy, fixed once or renewed while it learns, and recorded on the disk.

They are majority votes, or the likeliest options (rl/likelihood.py), which nobody has to sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from pydantic import Field

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.models.policy import MIN_TEMPERATURE, Policy, Sampling, scoring
from audio_eval.questions import Example, Question
from audio_eval.rl.likelihood import Normalise, likeliest_options, score_options, view_count
from audio_eval.rl.session import Session
from audio_eval.rl.views import View, Viewing, draw_view, parse_kinds, plain_view
from audio_eval.rl.votes import Tally, Vote, counted_vote, pooled_vote, tally

Labels = dict[str, Vote]  # by question id
Ballot = tuple[list[View], Sampling]  # each question as it is asked, and how its samples are drawn
Relabel = Literal["once", "every_step", "every_k"]


class Voting(Viewing):
    """Settings of a vote, the same for every method that votes."""

    votes: int = Field(64, ge=1, description="samples per question that vote on its label (M)")
    temperature: float = Field(1.0, ge=MIN_TEMPERATURE, description="sampling temperature of votes and rollouts")


class Labelling(Voting):
    """Settings of pseudo-labels, the same for every method that learns them."""

    labels: Literal["pseudo", "likelihood"] = Field(
        "pseudo", description="labels to learn: votes, or the options of the highest likelihood"
    )
    normalise: Normalise = Field(
        "sum", description="labels=likelihood: the sum of an option's token log-probabilities, or their mean"
    )

    def asked(self, items: int) -> dict[str, int]:
        """What it takes to label so many items, in the names of ``Cost``."""
        return {"scored": items * view_count(self)} if self.labels == "likelihood" else {"votes": items * self.votes}


def ballots(questions: Sequence[Question], c: Voting, seed: int) -> list[Ballot]:
    """What is asked in a vote, one ballot per view: the questions in this view, and how their samples are drawn.

    The views share ``votes`` samples per question; the first ones draw one more where they do not divide evenly.
    """
    kinds = parse_kinds(c.views)
    if not kinds:
        return [([plain_view(q) for q in questions], Sampling(c.votes, c.temperature, stream="vote", seed=seed))]
    count = min(c.n_views, c.votes)
    names = [f"vote/view{i}" for i in range(count)]
    return [
        ([draw_view(q, kinds, seed, name) for q in questions],
         Sampling(c.votes // count + (i < c.votes % count), c.temperature, stream=name, seed=seed))
        for i, name in enumerate(names)
    ]  # fmt: skip


def vote(policy: Policy, questions: Sequence[Question], c: Voting, seed: int) -> list[tuple[Vote, tuple[Group, ...]]]:
    """Ask and count, to answer: for each question the vote, and the groups that voted, one per view."""
    asked = ballots(questions, c, seed)
    groups = [policy.generate([view.question for view in views], sampling) for views, sampling in asked]
    return list(zip(_count(asked, groups, seed), zip(*groups, strict=True), strict=True))


def vote_labels(policy: Policy, questions: Sequence[Question], c: Voting, run: Session) -> Labels:
    """A label for each question for which at least one sample names an option; the others get none.

    With labels=likelihood, for each question with options whose recording can be read. The votes and the labels are
    kept on the disk. ``UserError`` where no question gets a label.
    """
    if isinstance(c, Labelling) and c.labels == "likelihood":
        score = partial(score_options, scoring(policy))
        votes = likeliest_options(
            questions, c, c.normalise, run.seed, lambda name, asked, read: run.reduced(name, asked, score, read)
        )
    else:
        asked = ballots(questions, c, run.seed)
        names = ["votes"] if len(asked) == 1 else [f"votes-view{i}" for i in range(len(asked))]
        counted = [_tallies(name, policy, *ballot, run) for name, ballot in zip(names, asked, strict=True)]
        votes = [counted_vote(of_one, run.seed) for of_one in zip(*counted, strict=True)]
    run.record_labels(label_record(q, one) for q, one in zip(questions, votes, strict=True))
    labels = {q.id: one for q, one in zip(questions, votes, strict=True) if one.choice is not None}
    if not labels:
        raise UserError(
            "no sample of any question named an option: there is nothing to learn from. Try another --prompt."
        )
    return labels


def _tallies(name: str, policy: Policy, views: list[View], sampling: Sampling, run: Session) -> list[Tally]:
    """Ask on the disk, and count. The samples are not held: those of many questions take gigabytes."""
    views_by_id = {view.question.id: view for view in views}
    return run.reduced(
        name, [view.question for view in views], lambda part: policy.generate(part, sampling),
        lambda group: tally(group, views_by_id[group.question.id]),
    )  # fmt: skip


def _count(asked: list[Ballot], groups: list[list[Group]], seed: int) -> list[Vote]:
    """The vote of each question, from its groups in all views."""
    views_Q = zip(*(views for views, _ in asked), strict=True)
    groups_Q = zip(*groups, strict=True)
    return [pooled_vote(of_one, views, seed) for of_one, views in zip(groups_Q, views_Q, strict=True)]


def label_texts(questions: Sequence[Question], labels: Labels) -> dict[str, str]:
    """The labels as texts by question id, for the log."""
    return {q.id: q.choices[choice] for q in questions if (choice := labels[q.id].choice) is not None}


def label_record(question: Question, vote: Vote) -> dict[str, Any]:
    """The record of a label in ``labels.jsonl``."""
    return {
        "id": question.id,
        "choice": vote.choice,
        "label": None if vote.choice is None else question.choices[vote.choice],
        "confidence": vote.confidence,
        "tally": {question.choices[i]: n for i, n in vote.tally.items()},
        "unparsable": vote.unparsable,
        "entropy": round(vote.entropy, 6),
        "agreement": vote.agreement,
    }


class Relabelling:
    """Labels that are renewed while the policy learns: once a question's label is ``every`` steps old.

    Only the questions of a step's batch are voted on. A resumed run reads the labels back from
    ``adapt/relabels.jsonl``, from which ``run.steps`` has removed the steps that were not finished.
    """

    def __init__(self, policy: Policy, c: Voting, every: int, run: Session) -> None:
        self._policy, self._voting, self._every, self._run = policy, c, every, run
        self._known: dict[str, tuple[int, Vote]] | None = None  # question id -> step of the vote, vote

    def at(self, step: int, batch: Sequence[Question]) -> Labels:
        """The labels of ``batch`` at a step. A question for which no sample names an option has none."""
        if self._known is None:
            self._known = {q: (s, vote) for s, q, vote in map(_read, self._run.step_log("relabels").read())}
        due = list(
            {q.id: q for q in batch if q.id not in self._known or step - self._known[q.id][0] >= self._every}.values()
        )
        if due:
            self._known |= {q.id: (step, vote) for q, vote in zip(due, self._votes(step, due), strict=True)}
        self._run.step_log("relabels").append(
            {"step": step + 1, **label_record(q, self._known[q.id][1]), "indices": self._known[q.id][1].tally}
            for q in due
        )
        return {q.id: vote for q in batch if (vote := self._known[q.id][1]).choice is not None}

    def _votes(self, step: int, due: Sequence[Question]) -> list[Vote]:
        c, seed = self._voting, self._run.seed
        if isinstance(c, Labelling) and c.labels == "likelihood":
            scorer = scoring(self._policy)
            return likeliest_options(
                due, c, c.normalise, seed, lambda name, asked, read: list(map(read, score_options(scorer, asked)))
            )
        asked = ballots(due, c, seed)
        groups = [
            self._policy.generate([v.question for v in views], sampling.keyed(f"{sampling.stream}/step{step}"))
            for views, sampling in asked
        ]
        return _count(asked, groups, seed)


def _read(record: dict[str, Any]) -> tuple[int, str, Vote]:
    tally = {int(choice): n for choice, n in record["indices"].items()}
    vote = Vote(record["choice"], record["confidence"], tally, record["unparsable"], record["agreement"])
    return record["step"] - 1, record["id"], vote


def gold_labels(examples: Sequence[Example]) -> dict[str, int]:
    """The index of each example's answer among its options. Examples whose answer is not an option are left out."""
    labels = {e.question.id: e.question.choices.index(e.answer) for e in examples if e.answer in e.question.choices}
    if not labels:
        raise UserError(
            "no item of the training task has an answer that is one of its options: choose another --train-task."
        )
    return labels
