"""Draw the figures from what a run left on the disk, and write result.json."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from pydantic import ValidationError

from audio_eval.cache import file_digest
from audio_eval.errors import UserError, explain
from audio_eval.method import Method
from audio_eval.models.policy import PolicyInfo
from audio_eval.runlog import Result, ResultRow, RunLog, RunSpec
from audio_eval.runlog.records import QuestionRecord
from audio_eval.runs import oracle
from audio_eval.runs.inputs import Inputs
from audio_eval.runs.plan import usual_settings
from audio_eval.scoring.graders import Graders
from audio_eval.store import write_json
from audio_eval.task import Task
from audio_eval.usage import total

_OWN_PLACE = {"adapt_samples", "adapt_usage", "trained_parameters"}  # notes that are fields of the row


def write_result(log: RunLog, inputs: Inputs, policy: PolicyInfo, judged: Mapping[str, Any]) -> Result:
    """The result of a run; ``judged`` is what the graders say of themselves."""
    spec, method, notes, sittings = inputs.spec, inputs.method, log.notes(), log.sittings.read()
    row = {
        "model": policy.name,
        "method": method.name,
        "seed": spec.seed,
        "samples": round((notes.adapt_samples or 0) + sum(record.samples or 0 for record in log.responses)),
        "usage": total([notes.adapt_usage, *(record.usage for record in log.responses)]),
        "wall_s": round(sum(sitting.charged for sitting in sittings), 2),
        "device": policy.device,
        "audio_seconds": round(sum(sitting.audio_seconds for sitting in sittings), 2) or None,
        "trained_parameters": notes.trained_parameters,
        "audio": spec.audio,
        "long_audio": None if spec.long_audio == "cut" else spec.long_audio,
        "tags": [*tags(spec, method), *inputs.overlap],
        "settings": settings(spec, method),
        "trained_on": inputs.training.label if inputs.training else None,
        "model_revision": policy.revision,
        "adapter_sha256": adapter_digest(log.folder),
        "audio_revision": audio_revision(log.questions),
        "oracle": oracle.of_run(inputs.adapted, log.folder),
        "notes": notes.model_dump(exclude_defaults=True, exclude=_OWN_PLACE),
    }
    config = {"model_args": spec.method_args, "limit": spec.limit}
    result = assemble(inputs.task, log, judged, row, config)
    if inputs.task.hidden and "submission" in inputs.task.metadata:
        texts = {record.id: record.response for record in log.responses}
        write_submission(log.folder / "submission.json", inputs.task, spec.data_dir, texts)
    log.write_result(result)
    return result


def score_run(log: RunLog, task: Task, ids: Collection[str], graders: Graders) -> dict[str, Any]:
    """Score the responses to the items of ``ids`` into scores.jsonl; returns what the graders say of themselves."""
    responses = {record.id: record.response for record in log.responses}
    scores, graded = task.score(responses, ids, graders)
    log.scores.keep(scores)
    return graded


def assemble(
    task: Task, log: RunLog, judged: Mapping[str, Any], row: Mapping[str, Any], config: Mapping[str, Any]
) -> Result:
    """The result of scored responses: ``row`` completed by the figures and what they rest on, and lm-eval's keys."""
    try:
        whole = _whole(task, log, judged, row)
    except ValidationError as error:  # figures of a scorer or a judge that are no numbers, or too many
        raise UserError(f"the scores of task '{task.label}' make no result: {explain(error)}") from None
    return Result(**lm_eval_keys(task, whole, config), audio_eval=whole)


def _whole(task: Task, log: RunLog, judged: Mapping[str, Any], row: Mapping[str, Any]) -> ResultRow:
    scores = log.scores.read()
    figures = task.figures(scores, judged)
    strays = task.stray_golds({score.id for score in scores}) if task.scorer.closed else []
    notes = {**row["notes"], **({"stray_golds": strays} if strays else {})}
    return ResultRow(**{
        "task": task.label,
        "prompt": task.prompt_version,
        "scorer": task.scorer.label,
        "data_revision": task.revision,
        "data": task.provenance.as_json() if task.provenance else {},
        "note": None if figures.accuracy is not None else task.scorer.unscored,
        "run": str(log.folder),
        **dict(figures),
        **judged,
        **row,
        "notes": notes,
    })  # fmt: skip


def lm_eval_keys(task: Task, row: ResultRow, config: Mapping[str, Any]) -> dict[str, Any]:
    """The part that tools written for lm-eval's results read."""
    metrics: dict[str, Any] = {"alias": row.task}
    for key, percent in (("acc", row.accuracy), ("unparsable", row.unparsable)):
        if percent is not None:
            p = percent / 100
            error = math.sqrt(p * (1 - p) / (row.n - 1)) if row.n > 1 else "N/A"
            metrics |= {f"{key},none": p, f"{key}_stderr,none": error}
    metrics |= {f"{k},none": m.value / 100 for k, m in row.metrics.items() if m.value is not None}
    return {
        "results": {row.task: metrics},
        "versions": {row.task: task.metadata.get("version")},
        "n-shot": {row.task: 0},
        "higher_is_better": {row.task: {"acc": True, "unparsable": False}},
        "n-samples": {row.task: {"original": len(task.questions), "effective": row.n}},
        "config": {"model": row.model, "random_seed": row.seed, **config},
    }


def tags(spec: RunSpec, method: Method) -> list[str]:
    """What a table must say of a row."""
    found = [f"audio: {spec.audio}"] if spec.audio else []
    if spec.long_audio != "cut":
        found.append(f"long audio: {spec.long_audio}")
    if spec.train_audio and method.needs_labels:
        found.append(f"training audio: {spec.train_audio}")
    if method.transductive and spec.adapt_task:
        found.append(f"adapted on {spec.adapt_task}")
    elif method.transductive:
        found.append("adapted on other items of the task" if spec.holdout else "transductive")
    if "labels" in spec.method_args:
        found.append(f"{spec.method_args['labels']} labels")
    return found


def settings(spec: RunSpec, method: Method) -> dict[str, Any]:
    """The method's settings that are not what it has with this model by default; ``labels`` is a tag of its own."""
    usual = usual_settings(type(method), spec.model, spec.backend)
    return {key: value for key, value in spec.method_args.items() if value != usual.get(key) and key != "labels"}


def audio_revision(questions: Iterable[QuestionRecord]) -> str | None:
    """A fingerprint of the recordings' bytes, in the order of the items; None where there are none."""
    told = [(question.audio, question.audio_sha256 or "") for question in questions]
    if not any(audio for audio, _ in told):
        return None
    return sha256("\n".join(digest for _, digest in told).encode()).hexdigest()[:12]


def adapter_digest(folder: Path) -> str | None:
    """sha256 of the weights that were scored, where anything was trained."""
    files = sorted((folder / "adapt").glob("step-*/adapter*.safetensors"))
    return file_digest(files[-1]) if files else None


def write_submission(path: Path, task: Task, data_dir: str | None, responses: Mapping[str, str]) -> None:
    """What the evaluation server of the benchmark takes: its official file, filled in."""
    write_json(path, fill_in(task)(data_dir, dict(responses)))


def fill_in(task: Task) -> Callable[[str | None, dict[str, str]], list[dict[str, Any]]]:
    """The task's own function that fills its official file in; ``UserError`` where it has none."""
    if "submission" not in task.metadata:
        raise UserError(f"task '{task.name}' has no evaluation server that a submission could go to.")
    return resolve_name(task.metadata["submission"])
