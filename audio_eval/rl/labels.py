"""Pseudo-labels: majority votes of the policy, elected once or anew as it learns, recorded as they are elected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.models.policy import Policy, Sampling
from audio_eval.questions import Example, Question
from audio_eval.rl.views import View, draw_view, parse_kinds, plain_view
from audio_eval.rl.votes import Vote, pooled_vote

if TYPE_CHECKING:
    from audio_eval.rl.session import Session

Labels = dict[str, Vote]
Relabel = Literal["once", "every_step", "every_k"]


class Voting(BaseModel):
    """Settings of a vote, the same for every method that votes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    votes: int = Field(64, ge=1, description="samples a question for its label (M)")
    temperature: float = Field(1.0, gt=0, description="of votes and rollouts")
    views: str = Field("none", description="what the voted views vary, as choices+shift+gain; none: one plain view")
    n_views: int = Field(8, ge=1, description="views that the votes are dealt to, where views are asked for")

    @field_validator("views")
    @classmethod
    def _known(cls, value: str) -> str:
        parse_kinds(value)
        return value


def ballots(questions: Sequence[Question], c: Voting, seed: int) -> list[tuple[list[View], Sampling]]:
    """What is asked in a vote: for each view the questions as they stand in it, and how their samples are drawn.

    Together the views draw ``votes`` samples a question; the first ones draw one more where they do not divide evenly.
    """
    kinds = parse_kinds(c.views)
    if not kinds:
        return [([plain_view(q) for q in questions], Sampling(c.votes, c.temperature, stream="vote"))]
    count = min(c.n_views, c.votes)
    names = [f"vote/view{i}" for i in range(count)]
    return [
        ([draw_view(q, kinds, seed, name) for q in questions],
         Sampling(c.votes // count + (i < c.votes % count), c.temperature, stream=name))
        for i, name in enumerate(names)
    ]  # fmt: skip


def vote(policy: Policy, questions: Sequence[Question], c: Voting) -> list[tuple[Vote, str]]:
    """Ask and count, to answer: a vote for each question, and what was said most often in its first view."""
    asked = ballots(questions, c, policy.seed)
    drawn = [policy.generate([view.question for view in views], sampling) for views, sampling in asked]
    said = [group.best() for group in drawn[0]]
    return list(zip(_count(asked, drawn, policy.seed), said, strict=True))


def elect_labels(policy: Policy, questions: Sequence[Question], c: Voting, run: Session) -> Labels:
    """A label for each question that any of its samples answered, by question id; the rest are skipped."""
    asked = ballots(questions, c, run.seed)
    names = ["votes"] if len(asked) == 1 else [f"votes-view{i}" for i in range(len(asked))]
    drawn = [
        run.generate(name, policy, [view.question for view in ballot], sampling)
        for name, (ballot, sampling) in zip(names, asked, strict=True)
    ]
    elected = _count(asked, drawn, run.seed)
    run.record_labels(label_record(q, one) for q, one in zip(questions, elected, strict=True))
    labels = {q.id: one for q, one in zip(questions, elected, strict=True) if one.choice is not None}
    if not labels:
        raise UserError(
            "no sample of any question named an option: there is nothing to learn from. Try another --prompt."
        )
    return labels


def _count(asked: list[tuple[list[View], Sampling]], drawn: list[list[Group]], seed: int) -> list[Vote]:
    ballots_Q = zip(*(views for views, _ in asked), strict=True)
    groups_Q = zip(*drawn, strict=True)
    return [pooled_vote(groups, views, seed) for groups, views in zip(groups_Q, ballots_Q, strict=True)]


def label_texts(questions: Sequence[Question], labels: Labels) -> dict[str, str]:
    """The labels as texts, by question id, for the log."""
    return {q.id: q.choices[choice] for q in questions if (choice := labels[q.id].choice) is not None}


def label_record(question: Question, elected: Vote) -> dict[str, Any]:
    """A label as it stands in ``labels.jsonl``."""
    return {
        "id": question.id,
        "choice": elected.choice,
        "label": None if elected.choice is None else question.choices[elected.choice],
        "confidence": elected.confidence,
        "tally": {question.choices[i]: n for i, n in elected.tally.items()},
        "unparsable": elected.unparsable,
        "entropy": round(elected.entropy, 6),
        "agreement": elected.agreement,
    }


class Relabelling:
    """Labels that are voted for again while the policy learns: a question's is renewed when it is ``every`` steps old.

    They are renewed where they are needed, in the batch of a step. A resumed run reads them back from
    ``adapt/relabels.jsonl``, which ``run.steps`` has cut back to the steps that are done.
    """

    def __init__(self, policy: Policy, c: Voting, every: int, run: Session) -> None:
        self._policy, self._voting, self._every, self._run = policy, c, every, run
        self._known: dict[str, tuple[int, Vote]] | None = None

    def at(self, step: int, batch: Sequence[Question]) -> Labels:
        """The labels of ``batch`` at a step; questions that no sample answered have none."""
        if self._known is None:
            self._known = {q: (s, elected) for s, q, elected in map(_read, self._run.step_log("relabels").read())}
        old = {q.id: q for q in batch if q.id not in self._known or step - self._known[q.id][0] >= self._every}
        due = list(old.values())
        if due:
            asked = ballots(due, self._voting, self._run.seed)
            drawn = [
                self._policy.generate([v.question for v in ballot], sampling.keyed(f"{sampling.stream}/step{step}"))
                for ballot, sampling in asked
            ]
            self._known |= {q.id: (step, e) for q, e in zip(due, _count(asked, drawn, self._run.seed), strict=True)}
        self._run.step_log("relabels").append(
            {"step": step + 1, **label_record(q, self._known[q.id][1]), "indices": self._known[q.id][1].tally}
            for q in due
        )
        return {q.id: elected for q in batch if (elected := self._known[q.id][1]).choice is not None}


def _read(record: dict[str, Any]) -> tuple[int, str, Vote]:
    tally = {int(choice): n for choice, n in record["indices"].items()}
    return record["step"] - 1, record["id"], Vote(
        record["choice"], record["confidence"], tally, record["unparsable"], record["agreement"]
    )  # fmt: skip


def gold_labels(examples: Sequence[Example]) -> dict[str, int]:
    """The index of each example's answer among its choices; examples whose answer is not a choice are left out."""
    labels = {e.question.id: e.question.choices.index(e.answer) for e in examples if e.answer in e.question.choices}
    if not labels:
        raise UserError(
            "no item of the training task has an answer that is one of its options: choose another --train-task."
        )
    return labels
