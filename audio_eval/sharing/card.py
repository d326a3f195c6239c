"""A model card for what a run trained, in the hub's format: README.md beside the adapter."""

from __future__ import annotations

import shlex
from pathlib import Path

from audio_eval.errors import UserError
from audio_eval.leaderboard import Row, Run, aggregate
from audio_eval.leaderboard.cells import cell
from audio_eval.models.backends import choose
from audio_eval.models.catalog import ModelEntry
from audio_eval.models.hf.files import LORA
from audio_eval.runlog import RunLog, RunSpec
from audio_eval.sharing.strip import Stripper
from audio_eval.terminal import plain

# The hub's names of licences that a model entry may have.
_LICENCES = {"Apache-2.0": "apache-2.0", "MIT": "mit", "Gemma": "gemma"}


def card(log: RunLog, run: Run, strip: Stripper) -> str:
    """The text of README.md. What is not known is said to be so; nothing in it has a place on this machine."""
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    spec, row = log.spec(), log.result().audio_eval
    assert isinstance(spec, RunSpec)  # responses made elsewhere have no adapter
    entry, (line,) = _entry(spec), aggregate([run])
    hub = None if entry is None or Path(entry.source).is_absolute() else entry.source
    name = plain(strip.text(f"{row.model} adapted with {row.method} on {row.task}"))
    lora = any(log.folder.glob(f"adapt/step-*/{LORA}"))
    measured = EvalResult(
        task_type="audio-text-to-text", task_name="audio question answering", dataset_type=plain(row.task),
        dataset_name=plain(row.task), dataset_revision=row.data_revision, metric_type="accuracy",
        metric_value=row.accuracy, metric_config=row.scorer,
    )  # fmt: skip
    data = ModelCardData(
        base_model=hub,
        license=_LICENCES.get(entry.licence or "") if entry else None,
        library_name="peft" if lora else "transformers",
        tags=[
            "audio",
            "audio-eval",
            plain(row.method),
            *(["test-time-training"] if "transductive" in row.tags else []),
        ],
        model_name=name,
        eval_results=None if row.accuracy is None else [measured],
    )
    body = "\n".join([
        f"# {cell(name)}", "", f"Trained and scored by audio-eval. {_warning(run)}", "",
        *_facts(log, spec, run, line, entry, strip), "", "Evaluate the base model with it:", "",
        f"    audio-eval --model {_model(spec, strip)} --adapter FOLDER --method direct --tasks {plain(row.task)}", "",
    ])  # fmt: skip
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}"))


def _warning(run: Run) -> str:
    tags = ", ".join(run.tags)
    if "transductive" in run.tags:
        return (
            "**Transductive**: it was adapted on the very items that it was scored on, without their answers. The "
            "score says how well the method adapts to a test set, not how the weights do on other data."
        )
    return f"How it was made: {cell(tags)}." if tags else ""


def _facts(
    log: RunLog, spec: RunSpec, run: Run, line: Row, entry: ModelEntry | None, strip: Stripper
) -> list[str]:  # fmt: skip
    row, environment = run.summary, log.environment()
    score = "answers are hidden"
    if line.interval is not None and line.accuracy is not None:
        score = (
            f"{line.accuracy:.1f} % of {line.n} items, 95 % interval [{line.interval.low:.1f}, "
            f"{line.interval.high:.1f}], one seed; {row.unparsable:.1f} % of the responses could not be read"
        )
    steps = log.steps.read()
    facts = {
        "base model": f"{row.model}, revision {row.model_revision}",
        "licence of the base": (entry and entry.licence) or "not recorded: see the base model's own page",
        "method": f"{row.method}: " + ", ".join(f"{key}={value}" for key, value in spec.method_args.items()),
        "steps": str(steps[-1].step if steps else 0),
        "task": f"{row.task}, data {row.data_revision}, prompt {row.prompt}",
        "adapted on": f"{spec.adapt_task or spec.train_task or row.task}"
        + (f", the first {spec.limit} items" if spec.limit else ""),
        "seed": str(row.seed),
        "score": f"{score} (scorer {row.scorer})",
        "sha256 of the weights": str(row.adapter_sha256),
        "command": shlex.join(map(strip.text, environment.command)) if environment else "not recorded",
        "commit of audio-eval": (environment and environment.commit) or "not recorded",
    }
    return ["| | |", "|---|---|", *(f"| {name} | {cell(strip.text(str(value)))} |" for name, value in facts.items())]


def _entry(spec: RunSpec) -> ModelEntry | None:
    try:
        return choose(spec.model, spec.backend, spec.model_args).entry
    except UserError:  # the model's folder, or a plug-in, is gone
        return None


def _model(spec: RunSpec, strip: Stripper) -> str:
    return shlex.quote(plain(strip.text(spec.model)))
