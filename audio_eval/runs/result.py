"""result.json: lm-eval's keys, and under ``audio_eval`` everything a leaderboard row needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from audio_eval.errors import UserError
from audio_eval.method import Method
from audio_eval.models.catalog import find_model
from audio_eval.models.policy import Policy
from audio_eval.runs import oracle
from audio_eval.runs.spec import RunSpec
from audio_eval.scoring.score import Score
from audio_eval.store import JsonLines, read_json, write_json
from audio_eval.task import Task


def write_result(
    spec: RunSpec, folder: Path, method: Method, task: Task, adapted: Task, training: Task | None, policy: Policy,
    judged: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Draw the figures from what the run left on the disk, and write ``result.json``.

    ``adapted`` is the task that was adapted on, the scored one as a rule; ``training`` the one whose labels were used,
    if any: its name goes with the number.
    """
    scores = [Score(**record) for record in JsonLines(folder / "scores.jsonl").read()]
    responses = JsonLines(folder / "responses.jsonl").read()
    notes = read_json(folder / "notes.json")
    row = {
        "model": policy.name,
        "method": method.name,
        "seed": spec.seed,
        "samples": round(notes.pop("adapt_samples") + sum(r["samples"] for r in responses)),
        "wall_s": round(sum(s["seconds"] for s in JsonLines(folder / "sessions.jsonl").read()), 2),
        "audio": spec.audio,
        "tags": tags(spec, method),
        "settings": settings(spec, method),
        "trained_on": training.label if training else None,
        "model_revision": policy.revision,
        "adapter_sha256": adapter_digest(folder),
        "audio_revision": audio_revision(JsonLines(folder / "questions.jsonl").read()),
        "oracle": oracle.of_run(adapted, folder),
        "notes": {key: value for key, value in notes.items() if value},
    }
    result = assemble(task, scores, judged, row, folder)
    result["config"] |= {"model_args": spec.method_args, "limit": spec.limit}
    if task.hidden and "submission" in task.metadata:
        write_submission(folder / "submission.json", task, spec.data_dir, {r["id"]: r["response"] for r in responses})
    write_json(folder / "result.json", result)
    return result


def assemble(
    task: Task, scores: Sequence[Score], judged: Mapping[str, Any], row: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """``result.json`` of scores: lm-eval's keys, and ``row`` completed by the figures and what they rest on."""
    figures = task.figures(scores, judged).model_dump()
    row = {
        **{key: row[key] for key in ("model", "method")},
        "task": task.label,
        **row,
        **figures,
        "prompt": task.prompt_version,
        "scorer": task.scorer.label,
        "data_revision": task.revision,
        "data": task.provenance.as_json() if task.provenance else {},
        **judged,
        "note": None if figures["accuracy"] is not None else task.scorer.unscored,
        "run": str(folder),
    }
    return {**lm_eval_keys(task, figures, row), "audio_eval": row}


def tags(spec: RunSpec, method: Method) -> list[str]:
    """What a table must say of a row."""
    found = [f"audio: {spec.audio}"] if spec.audio else []
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
    usual = type(method).Config(**find_model(spec.model).method_args.get(method.name, {})).model_dump()
    return {key: value for key, value in spec.method_args.items() if value != usual.get(key) and key != "labels"}


def lm_eval_keys(task: Task, figures: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """The part that tools written for lm-eval's results read."""
    name, n = task.label, figures["n"]
    metrics: dict[str, Any] = {"alias": name}
    for metric in ("accuracy", "unparsable"):
        if figures[metric] is not None:
            p, key = figures[metric] / 100, "acc" if metric == "accuracy" else metric
            metrics |= {f"{key},none": p, f"{key}_stderr,none": math.sqrt(p * (1 - p) / (n - 1)) if n > 1 else "N/A"}
    metrics |= {f"{k},none": m["value"] / 100 for k, m in figures["metrics"].items() if m["value"] is not None}
    return {
        "results": {name: metrics},
        "versions": {name: task.metadata.get("version")},
        "n-shot": {name: 0},
        "higher_is_better": {name: {"acc": True, "unparsable": False}},
        "n-samples": {name: {"original": len(task.questions), "effective": n}},
        "config": {"model": row["model"], "random_seed": row["seed"]},
    }


def audio_revision(questions: Sequence[Mapping[str, Any]]) -> str | None:
    """A fingerprint of the recordings' bytes, in the order of the items; None where there are none."""
    if not any(question["audio"] for question in questions):
        return None
    return sha256("\n".join(q["audio_sha256"] or "" for q in questions).encode()).hexdigest()[:12]


def adapter_digest(folder: Path) -> str | None:
    """sha256 of the weights that were scored, where anything was trained."""
    files = sorted((folder / "adapt").glob("step-*/adapter*.safetensors"))
    return sha256(files[-1].read_bytes()).hexdigest() if files else None


def write_submission(path: Path, task: Task, data_dir: str | None, responses: dict[str, str]) -> None:
    """What the evaluation server of the benchmark takes: its official file, filled in."""
    write_json(path, fill_in(task)(data_dir, responses))


def fill_in(task: Task) -> Callable[[str | None, dict[str, str]], list[dict[str, Any]]]:
    """The task's own function that fills its official file in; ``UserError`` where it has none."""
    if "submission" not in task.metadata:
        raise UserError(f"task '{task.name}' has no evaluation server that a submission could go to.")
    return resolve_name(task.metadata["submission"])
