"""Whether a run's scores and figures follow from its responses: computed anew, with this machine's copy of the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from audio_eval.errors import UserError
from audio_eval.prompts import SUFFIXES
from audio_eval.runlog import ResponsesSpec, ResultRow, RunLog, RunSpec
from audio_eval.runs.identity import identify_task
from audio_eval.runs.inputs import split
from audio_eval.scoring.figures import Figures
from audio_eval.scoring.scores import Score
from audio_eval.task import AS_FILED, Task, load_task

_FREE_TEXT = {"answer", "why"}  # an export may have taken them out; they decide nothing
_FIGURES = ("accuracy", "n", "unparsable", "unparsable_n", "official", "groups", "metrics")


class NotRecomputed(Exception):
    """Why the scores cannot be computed here. It is no fault of the run."""


class Recomputed(NamedTuple):
    """The task as it is here, and the scores that the responses get."""

    task: Task
    scores: list[Score]


def recompute(log: RunLog, where: Mapping[str, str | None]) -> Recomputed:
    """Score the responses anew; ``where`` has this machine's data_dir, source and include_path.

    ``NotRecomputed`` where that cannot be done here. ``UserError`` names the first item, or the first figure, that is
    not what the log says.
    """
    spec, row = log.spec(), log.result().audio_eval
    if not (log.folder / "responses.jsonl").is_file():
        raise NotRecomputed("it came without its responses")
    if row.graders:
        raise NotRecomputed(f"it was graded by {row.graders}")
    task = _task(log, spec, row, where)
    if isinstance(spec, RunSpec):
        expected = {question.id for question in split(task.questions, spec.holdout, spec.seed)[1]}
    else:
        expected = {question.id for question in task.questions}
    responses = {record.id: record.response for record in log.responses.read()}
    stated = {score.id: score for score in log.scores.read()}
    for ids, what in ((stated.keys(), "scores"), (responses.keys(), "responses")):
        if odd := sorted(ids - expected):
            raise UserError(f"its {what} have item '{odd[0]}', which is not among those that this run scores")
    missing = expected - (stated.keys() & responses.keys() if isinstance(spec, RunSpec) else stated.keys())
    if missing:
        raise UserError(f"item '{min(missing)}' has no score or no response")
    scores, _ = task.score(responses, expected)
    for score in scores:
        _same_score(stated[score.id], score)
    _same_figures(row, task.figures(scores))
    return Recomputed(task, scores)


def _task(log: RunLog, spec: RunSpec | ResponsesSpec, row: ResultRow, where: Mapping[str, str | None]) -> Task:
    """The task as it is on this machine, which must be the one that was scored, item by item."""
    prompt = spec.prompt
    if (isinstance(spec, RunSpec) and spec.prompt_source is not None) or str(prompt).endswith(SUFFIXES):
        raise NotRecomputed("its prompt is a template of its own, and none that comes with a file is rendered")
    limit = spec.limit if isinstance(spec, RunSpec) else None
    fallback = None if isinstance(spec, RunSpec) else AS_FILED
    try:
        task = load_task(
            spec.task, prompt or fallback, where.get("data_dir"), limit, where.get("include_path"), where.get("source"),
            spec.permute_choices,
        )  # fmt: skip
    except UserError as error:
        raise NotRecomputed(str(error)) from None
    if task.scorer.label != row.scorer:
        raise NotRecomputed(f"it was scored by {row.scorer}, and this is {task.scorer.label}")
    tasks = identity.tasks if (identity := log.identity()) else ()
    before = next((told for told in tasks if told.use == "scored"), None)
    if before is None:
        raise NotRecomputed("it does not say which items it scored")
    now = identify_task("scored", task)
    # Responses are scored without the recordings. The answers are in the data's revision, not one by one.
    aside = {"recording": None, "answer": ""}
    told, here = (
        each.model_copy(update={"items": tuple(item.model_copy(update=aside) for item in each.items)})
        for each in (before, now)
    )
    if differences := list(told.differences(here)):
        raise NotRecomputed("; ".join(differences))
    if task.revision != row.data_revision:
        raise NotRecomputed(f"its data are {row.data_revision}, and those here are {task.revision}")
    return task


def _same_score(stated: Score, found: Score) -> None:
    before, now = (score.model_dump(exclude=_FREE_TEXT) for score in (stated, found))
    for key, value in now.items():
        if not _equal(before[key], value):
            raise UserError(f"item '{found.id}': {key} is stated as {before[key]}, and its response gives {value}")


def _same_figures(row: ResultRow, found: Figures) -> None:
    before, now = row.model_dump(include=set(_FIGURES)), found.model_dump()
    for key in _FIGURES:
        if not _equal(before[key], now[key]):
            raise UserError(f"{key} is stated as {before[key]}, and its items give {now[key]}")


def _equal(before: object, now: object) -> bool:
    """Equal, numbers up to the last decimals that another machine may round otherwise."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        return before.keys() == now.keys() and all(_equal(before[key], now[key]) for key in now)
    if isinstance(before, float) and isinstance(now, (int, float)):
        return abs(before - now) < 1e-4
    if isinstance(before, Sequence) and isinstance(now, Sequence) and not isinstance(before, str):
        return len(before) == len(now) and all(map(_equal, before, now))
    return before == now
