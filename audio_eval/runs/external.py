"""Score responses that were produced elsewhere like those of a run, so that any system can enter the leaderboard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from audio_eval.data import read_rows
from audio_eval.errors import UserError
from audio_eval.ownership import lock_dir
from audio_eval.regular import read_regular
from audio_eval.runlog import ResponsesSpec, Result, RunLog
from audio_eval.runlog.damage import lost
from audio_eval.runlog.identity import Identity
from audio_eval.runlog.records import Notes, ResponseRecord
from audio_eval.runs.environment import environment
from audio_eval.runs.identity import check_same, identify_task
from audio_eval.runs.inputs import question_records
from audio_eval.runs.own import remember_read
from audio_eval.runs.result import assemble, audio_revision, score_run, write_submission
from audio_eval.scoring.graders import Graders
from audio_eval.task import Task

METHOD = "responses"
KEPT = 1_000  # ids of a file that are none of the task's which the result names; there may be millions
# Ours and MMSU's, MMAU's (its script, its README), MMAR's, and what other harnesses call it.
KEYS = (
    "response", "model_output", "model_prediction", "answer_prediction", "prediction", "model_response", "model_answer",
    "predicted_answer", "pred", "output",
)  # fmt: skip


class Responses(NamedTuple):
    """Responses to a task: texts by id, ids without a response (or with null), and ids that the task does not have."""

    texts: dict[str, str]
    missing: list[str]
    unknown: list[str]
    digest: str


def read_responses(path: Path, task: Task) -> Responses:
    """Read rows with an id and a response, JSON lines or a JSON list: ours, or a benchmark's own filled-in file.

    One ``UserError`` names all rows of another form and all ids that occur twice, or the keys of a file without one of
    ``KEYS``. A row without its key is one without a response.
    """
    digest = _digest(path)
    rows = list(read_rows(path))
    if _digest(path) != digest:
        raise UserError(f"{path} was written to while it was read: wait until it is whole.")
    key = _response_key(path, [row for _, row in rows if isinstance(row, dict)])
    texts: dict[str, str] = {}
    seen: dict[str, str] = {}
    counts: Counter[str] = Counter()
    problems = []
    for where, row in rows:
        values = row if isinstance(row, dict) else {}
        id_, response = _id(values, task, counts), values.get(key)
        if not isinstance(id_, str) or not (response is None or isinstance(response, str)):
            problems.append(f'{where} is not {{"id": text, "{key}": text}}')
        elif key not in values and (other := [one for one in KEYS if one in values]):
            problems.append(f"{where} has '{other[0]}' where other rows have '{key}'")
        elif id_ in seen:
            problems.append(f"{where} has the id of {seen[id_]} ({id_:.80})")
        else:
            seen[id_] = where
            if response is not None:
                texts[id_] = response
    if problems:
        more = f"; and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise UserError(f"{path}: {'; '.join(problems[:20])}{more}.")
    ids = {question.id for question in task.questions}
    if not ids & set(seen):
        raise UserError(f"{path}: none of its {len(seen)} ids is one of task '{task.name}' (such as {min(ids)!r}).")
    known = {id_: text for id_, text in texts.items() if id_ in ids}
    return Responses(
        known,
        [question.id for question in task.questions if question.id not in known],
        [id_ for id_ in seen if id_ not in ids],
        digest,
    )


def _digest(path: Path) -> str:
    """The sha256 of the file; of one that cannot be read none, as reading its rows says why."""
    try:
        return sha256(read_regular(path)).hexdigest()
    except OSError:
        return ""


def _response_key(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    """The first of ``KEYS`` that any row has; ``UserError`` with the keys that there are instead."""
    found = dict.fromkeys(key for row in rows for key in row)
    for key in KEYS:
        if key in found:
            return key
    if not found:
        return KEYS[0]  # no row is an object: the caller names them all
    names = ", ".join(f"{key!r:.60}" for key in list(found)[:20]) + (", ..." if len(found) > 20 else "")
    raise UserError(
        f"{path}: no row has a response: the keys are {names}; one of {', '.join(map(repr, KEYS))} is read."
    )


def _id(values: Mapping[str, Any], task: Task, counts: Counter[str]) -> Any:
    """The row's "id"; for a benchmark without ids that of its records: a field and the row's number among its like."""
    field = str(task.metadata.get("row_id", ""))
    if "id" in values or field not in values:
        return values.get("id")
    like = str(values[field])
    counts[like] += 1
    return f"{like}_{counts[like]}"


def score_responses(task: Task, responses: Responses, spec: ResponsesSpec, log: RunLog, graders: Graders) -> Result:
    """Write a finished run directory, with the files of any run. An item without a response is wrong and stays in n.

    Responses that were scored before keep their result, unless the directory is damaged. ``UserError`` where the task
    has changed since.
    """
    identity = Identity(tasks=(identify_task("scored", task),))
    log.folder.mkdir(parents=True, exist_ok=True)
    with lock_dir(log.folder):
        if log.begun:
            check_same(log, spec, identity)
            if log.finished and not lost(log, responses.texts):
                return log.result()
            log.reopen()
            log.mend()
        return _score(task, responses, spec, log, graders, identity)


def _score(
    task: Task, responses: Responses, spec: ResponsesSpec, log: RunLog, graders: Graders, identity: Identity
) -> Result:
    with log.sitting():
        log.write_identity(identity)
        log.write_spec(spec)
        log.write_environment(environment())
        log.questions.keep(question_records(task))
        remember_read(spec, task.questions)
        log.responses.keep(ResponseRecord(id=id_, response=text) for id_, text in responses.texts.items())
        kept, more = responses.unknown[:KEPT], responses.unknown[KEPT:]
        count = {"unknown_items": len(responses.unknown)} if more else {}
        log.write_notes(Notes.model_validate({"missing": responses.missing, "unknown": kept, **count}))
        judged = score_run(log, task, {question.id for question in task.questions}, graders)
        row = {
            "model": spec.name,
            "method": METHOD,
            "seed": 0,
            "samples": None,
            "wall_s": None,
            "tags": ["responses made elsewhere"],
            "model_revision": f"responses {responses.digest[:12]}",
            "audio_revision": audio_revision(log.questions),
            "notes": log.notes().model_dump(exclude_defaults=True),
            # without --prompt nobody has said what was asked
            "prompt": task.prompt_version if spec.prompt else None,
        }
        result = assemble(task, log, judged, row, {})
    log.write_result(result)  # the last file, as of any run
    return result


def write_filled_in(path: Path, task: Task, data_dir: str | None, responses: Responses) -> None:
    """``--submission``: the official file with the responses; ``UserError`` where the folder is not there."""
    try:
        write_submission(path, task, data_dir, responses.texts)
    except OSError as error:
        raise UserError(f"--submission: '{path}' cannot be written ({error.strerror}).") from None
