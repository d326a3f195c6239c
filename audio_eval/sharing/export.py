"""A run directory -> the files that may leave the machine: ``audio-eval export``.

Of somebody's benchmark nothing leaves: questions, options, gold answers and the report that shows them are exported
only where the task's YAML has a ``license`` that lets others pass its items on, and never where the answers are hidden.
An item's score does say whether the response, which may be in the archive, was right. Votes and rollouts stay here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from audio_eval import __version__
from audio_eval.errors import UserError
from audio_eval.leaderboard import Run, load_runs
from audio_eval.models.hf.files import ADAPTER_CONFIG, FULL, LORA
from audio_eval.report.write import unlinked
from audio_eval.runlog import ResponsesSpec, RunLog, RunSpec
from audio_eval.runlog.damage import check
from audio_eval.runlog.records import LabelRecord, QuestionRecord, ResponseRecord
from audio_eval.runlog.result import VERSION
from audio_eval.runs.own import is_own
from audio_eval.scoring.scores import Score
from audio_eval.sharing import archive
from audio_eval.sharing.card import card
from audio_eval.sharing.lm_eval_result import lm_eval_result
from audio_eval.sharing.strip import Stripper
from audio_eval.store import read_json, write_output
from audio_eval.task_index import listing

FREE = frozenset({
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "odc-by", "pddl",
})  # fmt: skip
# Of result.json's row these are the run's own words; the rest are figures, whose group labels are the benchmark's.
_WORDS = ("run", "model", "tags", "settings", "notes", "data", "judge", "similarity", "note", "trained_on")


def export(folder: Path, path: Path, responses: bool = True) -> list[str]:
    """Write the archive of a finished run; returns what was left out of it, in words.

    ``UserError`` where the run has not finished, or its files or the archive cannot be read or written.
    """
    log = RunLog(folder)
    if not log.finished:
        raise UserError(f"'{folder}' has no result.json: it is no run directory, or not finished.")
    runs, messages = load_runs([folder])
    if not runs:
        raise UserError(messages[0])
    check(log, all_files=True)
    members, left_out = _members(log, runs[0], responses)
    try:
        write_output(path, lambda temporary: archive.write(temporary, members, VERSION, __version__))
    except OSError as error:
        raise UserError(f"'{path}' cannot be written ({error.strerror}): give another file.") from None
    return left_out


def _members(log: RunLog, run: Run, responses: bool) -> tuple[dict[str, bytes | Path], list[str]]:
    spec, result = log.spec(), log.result()
    hidden = result.audio_eval.accuracy is None
    passed_on = not hidden and _free(spec.task, spec)
    strip, left_out = _stripper(log, spec), []
    found: dict[str, bytes | Path] = {
        "spec.json": _json({"version": VERSION, **_spec(spec, strip)}),
        "result.json": _json(_result(result.model_dump(by_alias=True), strip)),
        archive.LM_EVAL: _json(strip.value(lm_eval_result(log))),
    }
    if identity := log.identity():
        told = identity.model_dump(mode="json")
        tasks = [task if passed_on and _free(task["task"], spec) else _unguessable(task) for task in told["tasks"]]
        files = {key: strip.value(told[key]) for key in ("model", "method")}
        found["identity.json"] = _json({**told, **files, "tasks": tasks, "settings": {}})  # spec.json has them
    if environment := log.environment():
        found["env.json"] = _json(strip.value(environment.model_dump()))
    if (log.folder / "notes.json").is_file():
        found["notes.json"] = _json(strip.value(log.notes().model_dump(exclude_defaults=True)))
    if reported := log.reported():
        found["reported.json"] = _json(strip.value(reported.model_dump(mode="json")))
    questions = [_question(record, passed_on, strip) for record in log.questions.read()]
    scores = [score if passed_on else _without_answer(score, responses) for score in log.scores.read()]
    labels = [label if passed_on else _without_options(label) for label in log.labels.read()]
    steps: list[tuple[str, Sequence[BaseModel]]] = [
        ("questions.jsonl", questions), ("scores.jsonl", scores), ("adapt/labels.jsonl", labels),
        ("metrics.jsonl", log.steps.read()), ("curve.jsonl", log.curve.read()), ("sessions.jsonl", log.sittings.read()),
        ("oracle.jsonl", log.oracle.read()),
    ]  # fmt: skip
    if responses:
        answered = [_response(record, passed_on, strip) for record in log.responses.read()]
        steps.append(("responses.jsonl", answered))
    else:
        left_out.append("the responses, so that nobody can recompute the scores")
    found |= {
        name: _lines(r.model_dump(mode="json", exclude_defaults=True) for r in records)
        for name, records in steps
        if records
    }
    if not passed_on:
        why = (
            "its answers are hidden" if hidden else f"no licence of '{spec.task}' is known that lets others pass it on"
        )
        left_out.append(f"questions, options and gold answers ({why})")
    report = log.folder / archive.REPORT
    if report.is_file() and passed_on and responses:
        page = unlinked(report.read_text(encoding="utf-8", errors="replace"))
        found[archive.REPORT] = strip.roots_out(page).encode()
    elif report.is_file():
        left_out.append(f"{archive.REPORT}, which shows them")
    found |= _adapter(log, run, strip)
    return found, left_out


def _free(task: str, spec: RunSpec | ResponsesSpec) -> bool:
    """Whether the task's YAML says that others may pass its items on."""
    include = spec.include_path if isinstance(spec, RunSpec) and is_own(spec) else None
    try:
        metadata = listing(include).tasks.get(task.partition(":")[0], {})
    except UserError:  # the folder of the user's tasks is gone
        return False
    return str(metadata.get("license", "")).lower() in FREE


def _stripper(log: RunLog, spec: RunSpec | ResponsesSpec) -> Stripper:
    if isinstance(spec, ResponsesSpec):
        return Stripper([log.folder.absolute().parent])
    given = (spec.data_dir, spec.train_data_dir, spec.include_path)
    return Stripper([log.folder.absolute().parent, *(place for place in given if place and Path(place).is_absolute())])


def _spec(spec: RunSpec | ResponsesSpec, strip: Stripper) -> dict[str, Any]:
    told = spec.model_dump(mode="json")
    # The wording decides what was asked, so it stays as it is.
    return {**strip.value(told), **{key: told[key] for key in ("prompt_source",) if key in told}}


def _result(told: dict[str, Any], strip: Stripper) -> dict[str, Any]:
    row = told["audio_eval"]
    row |= {key: strip.value(row[key]) for key in _WORDS if key in row}
    row["run"] = Path(row["run"]).name
    return {**told, "config": strip.value(told["config"])}


def _question(record: QuestionRecord, passed_on: bool, strip: Stripper) -> QuestionRecord:
    def place(path: str | None) -> str | None:
        return None if path is None else Path(path).name

    kept = {"audio": place(record.audio), "more_audio": tuple(map(place, record.more_audio))}
    return record.model_copy(update=kept if passed_on else {**kept, "question": "", "choices": (), "prompt": ""})


def _response(record: ResponseRecord, passed_on: bool, strip: Stripper) -> ResponseRecord:
    """What the model said stays to the letter: the scores follow from it."""
    unreadable = record.unreadable and strip.text(record.unreadable)
    likelihoods = record.likelihoods if passed_on else {}  # its keys are the options
    return record.model_copy(update={"unreadable": unreadable, "likelihoods": likelihoods})


def _without_answer(score: Score, responses: bool) -> Score:
    """Without responses, not even which option it was that was right."""
    choice = score.choice if responses else None
    return score.model_copy(update={"answer": "", "why": "", "judge_reply": None, "judge_why": None, "choice": choice})


def _unguessable(task: dict[str, Any]) -> dict[str, Any]:
    """Without the digests of single answers: whoever tries the options on one has found the answer."""
    return {**task, "items": [{**item, "answer": ""} for item in task["items"]]}


def _without_options(label: LabelRecord) -> LabelRecord:
    return label.model_copy(update={"label": None, "tally": {}})


def _adapter(log: RunLog, run: Run, strip: Stripper) -> dict[str, bytes | Path]:
    """The weights that were scored, with a model card; neither the optimizer nor vLLM's copy of the names."""
    steps = sorted(path for path in log.folder.glob("adapt/step-*") if path.suffix != ".tmp")
    if not steps:
        return {}
    place, folder = f"adapt/{steps[-1].name}", steps[-1]
    found: dict[str, bytes | Path] = {f"{place}/{n}": folder / n for n in (LORA, FULL) if (folder / n).is_file()}
    if found and (folder / ADAPTER_CONFIG).is_file():
        config = read_json(folder / ADAPTER_CONFIG)
        found[f"{place}/{ADAPTER_CONFIG}"] = _json(strip.value(config))
    if found:
        found[f"{place}/README.md"] = card(log, run, strip).encode("utf-8", "replace")
    return found


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def _lines(records: Iterable[Any]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()
