"""result.json: lm-eval's keys, and under ``audio_eval`` everything a leaderboard row needs."""

from __future__ import annotations

import json
import math
from hashlib import sha256
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from audio_eval import prompts
from audio_eval.method import Method
from audio_eval.models.policy import Policy
from audio_eval.runs import scored
from audio_eval.runs.spec import RunSpec
from audio_eval.runs.store import JsonLines, read_json, write_json
from audio_eval.task import Task


def write_result(spec: RunSpec, folder: Path, method: Method, task: Task, policy: Policy) -> dict[str, Any]:
    """Draw the figures from what the run left on the disk, and write ``result.json``."""
    records = JsonLines(folder / "scores.jsonl").read()
    responses = JsonLines(folder / "responses.jsonl").read()
    notes = read_json(folder / "notes.json")
    figures = scored.figures(task, records)
    name = spec.task.removesuffix(":test")
    row = {
        "model": policy.name,
        "method": method.name,
        "task": name,
        "seed": spec.seed,
        **figures,
        "samples": round(notes.pop("adapt_samples") + sum(r["samples"] for r in responses)),
        "wall_s": round(sum(s["seconds"] for s in JsonLines(folder / "sessions.jsonl").read()), 2),
        "tags": tags(spec, method),
        "trained_on": trained_on(spec, method),
        "prompt": prompts.versioned(spec.prompt),
        "scorer": scored.SCORER,
        "data_revision": data_revision(task),
        "model_revision": policy.revision,
        "adapter_sha256": adapter_digest(folder),
        "oracle": scored.oracle(task, JsonLines(folder / "adapt" / "labels.jsonl").read()),
        "notes": {key: value for key, value in notes.items() if value},
        "run": str(folder),
    }
    result = {**lm_eval_keys(name, task, figures, spec), "audio_eval": row}
    if task.hidden:
        write_submission(spec, folder, task, {r["id"]: r["response"] for r in responses})
    write_json(folder / "result.json", result)
    return result


def tags(spec: RunSpec, method: Method) -> list[str]:
    """What a table must say of a row."""
    found = []
    if method.transductive:
        found.append("adapted on other items of the task" if spec.holdout else "transductive")
    if spec.method == "sft":
        found.append(f"{spec.method_args['labels']} labels")
    return found


def trained_on(spec: RunSpec, method: Method) -> str | None:
    """The training task whose labels were used."""
    if not method.needs_labels:
        return None
    return spec.task if spec.train_task == "same" else spec.train_task


def lm_eval_keys(name: str, task: Task, figures: dict[str, Any], spec: RunSpec) -> dict[str, Any]:
    """The part that tools written for lm-eval's results read."""
    n = figures["n"]
    metrics: dict[str, Any] = {"alias": name}
    for metric in ("accuracy", "unparsable"):
        if figures[metric] is not None:
            p, key = figures[metric] / 100, "acc" if metric == "accuracy" else metric
            metrics |= {f"{key},none": p, f"{key}_stderr,none": math.sqrt(p * (1 - p) / (n - 1)) if n > 1 else "N/A"}
    return {
        "results": {name: metrics},
        "versions": {name: task.metadata.get("version")},
        "n-shot": {name: 0},
        "higher_is_better": {name: {"acc": True, "unparsable": False}},
        "n-samples": {name: {"original": len(task.questions), "effective": n}},
        "config": {"model": spec.model, "model_args": spec.method_args, "limit": spec.limit, "random_seed": spec.seed},
    }


def data_revision(task: Task) -> str:
    """The task's version and a fingerprint of its items: ids, questions, choices, answers, audio."""
    digest = sha256()
    for doc in task.docs:
        audio = doc["audio"]["sha256"] or Path(doc["audio"]["path"]).name
        digest.update(json.dumps([doc["id"], doc["question"], doc["choices"], doc["answer"], audio]).encode())
    return f"{task.metadata.get('version')}+{digest.hexdigest()[:12]}"


def adapter_digest(folder: Path) -> str | None:
    """sha256 of the weights that were scored, where anything was trained."""
    files = sorted((folder / "adapt").glob("step-*/adapter*.safetensors"))
    return sha256(files[-1].read_bytes()).hexdigest() if files else None


def write_submission(spec: RunSpec, folder: Path, task: Task, responses: dict[str, str]) -> None:
    """``submission.json``: what the evaluation server of a benchmark with hidden answers takes."""
    filled: list[dict[str, Any]] = resolve_name(task.metadata["submission"])(spec.data_dir, responses)
    write_json(folder / "submission.json", filled)
