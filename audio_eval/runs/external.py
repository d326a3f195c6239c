"""Responses that were produced elsewhere: scored like a run's, so that any system can enter the leaderboard."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from audio_eval.data import read_rows
from audio_eval.errors import UserError
from audio_eval.runs.environment import environment
from audio_eval.runs.result import assemble, write_submission
from audio_eval.scoring.graders import Graders
from audio_eval.store import JsonLines, write_json
from audio_eval.task import Task

METHOD = "responses"


class Responses(NamedTuple):
    """A file of responses against a task: texts by id, ids that got none (or null), ids that the task does not have."""

    texts: dict[str, str]
    missing: list[str]
    unknown: list[str]
    digest: str


def read_responses(path: Path, task: Task) -> Responses:
    """From {"id", "response"} lines; ``UserError`` for lines of another form and for ids given twice, all at once."""
    texts: dict[str, str] = {}
    seen: dict[str, str] = {}
    problems = []
    for where, row in read_rows(path):
        values = row if isinstance(row, dict) else {}
        id_, response = values.get("id"), values.get("response")
        if not isinstance(id_, str) or not (response is None or isinstance(response, str)):
            problems.append(f'{where} is not {{"id": text, "response": text}}')
        elif id_ in seen:
            problems.append(f"{where} has the id of {seen[id_]} ({id_})")
        else:
            seen[id_] = str(where)
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
        sha256(path.read_bytes()).hexdigest(),
    )


def score_responses(
    task: Task, responses: Responses, name: str, folder: Path, spec: dict[str, Any], graders: Graders
) -> dict[str, Any]:
    """Write a finished run directory; returns ``result.json``. An item without a response is wrong and stays in n."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "spec.json", spec)
    write_json(folder / "env.json", environment())
    JsonLines(folder / "responses.jsonl").keep([{"id": id_, "response": t} for id_, t in responses.texts.items()])
    scores, judged = task.score(responses.texts, {question.id for question in task.questions}, graders)
    JsonLines(folder / "scores.jsonl").keep([score.model_dump(exclude_defaults=True) for score in scores])
    row = {
        "model": name,
        "method": METHOD,
        "seed": 0,
        "samples": None,
        "wall_s": None,
        "tags": ["responses made elsewhere"],
        "model_revision": f"responses {responses.digest[:12]}",
        "notes": {"missing": responses.missing, "unknown": responses.unknown},
    }
    result = assemble(task, scores, judged, row, folder)
    if spec["prompt"] is None:
        result["audio_eval"]["prompt"] = None  # nobody has said what was asked
    write_json(folder / "result.json", result)
    return result


def write_filled_in(path: Path, task: Task, data_dir: str | None, responses: Responses) -> None:
    """``--submission``: the official file with the responses; ``UserError`` where the folder is not there."""
    try:
        write_submission(path, task, data_dir, responses.texts)
    except OSError as error:
        raise UserError(f"--submission: '{path}' cannot be written ({error.strerror}).") from None
