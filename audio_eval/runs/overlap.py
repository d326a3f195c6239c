"""Items that are both learned from and scored, by what they hold: such a number is not one of unseen items."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

from audio_eval.questions import Question
from audio_eval.runlog import RunLog
from audio_eval.runlog.identity import Identity, ItemDigests, TaskDigests
from audio_eval.runs.ablation import digests
from audio_eval.seeding import stream
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


def tag(verb: str, ids: Sequence[str]) -> str:
    """What every table says of the scored items ``ids``, such as "adapted on 3 scored items"."""
    return f"{verb} {len(ids)} scored item{'s' * (len(ids) > 1)}"


def learned_by_adapter(adapter: str, now: Identity, scored_on: Container[str]) -> list[str]:
    """A tag, if the run behind ``--adapter`` has learned from scored items, by what both runs were made of.

    Empty where the adapter does not lie in the directory of a run: nothing is known of what it was trained on.
    """
    folder = Path(adapter).resolve()
    log = next((log for log in map(RunLog, (folder, *folder.parents[:2])) if log.begun and log.identity()), None)
    if log is None or (began := log.identity()) is None:
        return []
    tasks = {task.use: task for task in began.tasks}
    learned = tasks.get("trained on") or tasks.get("adapted on") or _adapted_part(log, tasks["scored"])
    scored = next(task for task in now.tasks if task.use == "scored")
    benchmark = scored.task.partition(":")[0] == learned.task.partition(":")[0]
    seen = {key for item in learned.items for key in _keys(item, benchmark)}
    ids = [item.id for item in scored.items if item.id in scored_on and seen.intersection(_keys(item, benchmark))]
    return [tag("adapter trained on", ids)] if ids else []


def _adapted_part(log: RunLog, scored: TaskDigests) -> TaskDigests:
    """The scored task without the items that ``--holdout`` kept from the adaptation."""
    spec = log.spec()
    share, seed = getattr(spec, "holdout", 0.0), getattr(spec, "seed", 0)
    items = tuple(item for item in scored.items if stream(seed, "holdout", item.id).random() >= share)
    return scored.model_copy(update={"items": items})


def _keys(item: ItemDigests, by_id: bool) -> set[tuple[str, ...]]:
    """What makes two items the same one."""
    content = ("recording", item.recording) if item.recording else ("text", item.question, item.choices)
    return {content, ("id", item.id)} if by_id else {content}
