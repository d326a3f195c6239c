"""Items that are both learned from and scored, by what they hold: such a number is not one of unseen items."""

from __future__ import annotations

from collections.abc import Sequence

from audio_eval.questions import Question
from audio_eval.runs.ablation import digests
from audio_eval.task import Task


def shared(scored: Task, scored_on: Sequence[Question], learned: Task, learned_from: Sequence[Question]) -> list[str]:
    """The ids of the scored items that are learned from too; the tasks have the items' own recordings.

    The same item has the same recording, or the same question with the same options where neither has one. Ids count
    within one benchmark alone: "1" is the name of an item in many.
    """
    ids = {question.id for question in learned_from}
    seen = [question for question in learned.questions if question.id in ids]
    recordings = {digest for digest in digests(seen) if digest}
    texts = {(q.question, frozenset(q.choices)) for q in seen if q.audio is None}
    asked = {question.id for question in scored_on}
    items = [question for question in scored.questions if question.id in asked]
    return [
        question.id
        for question, digest in zip(items, digests(items), strict=True)
        if digest in recordings
        or (question.id in ids and learned.name == scored.name)
        or (question.audio is None and (question.question, frozenset(question.choices)) in texts)
    ]
