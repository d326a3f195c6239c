"""The command that makes a run again, as far as its log, or its kept result, says."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from audio_eval.leaderboard.labels import is_label_kind, shown
from audio_eval.runlog import ResultRow, RunSpec

# Spelled otherwise, told by the result, or without weight for a number.
_ELSEWHERE = {
    "model", "method", "method_args", "task", "seed", "audio", "long_audio", "train_task", "prompt_source", "device",
    "save_every", "curve_every", "max_errors",
}  # fmt: skip


def flags(spec: RunSpec) -> dict[str, str]:
    """The flags of a run that its result does not tell, where they are not the usual ones; "" for one without a value.

    Of a folder it is the last name: where it lies on one machine is of no use on another.
    """
    changed = {
        name: getattr(spec, name)
        for name, field in RunSpec.model_fields.items()
        if name not in _ELSEWHERE and getattr(spec, name) != field.get_default(call_default_factory=True)
    }
    return {name.replace("_", "-"): "" if value is True else _spelled(value) for name, value in changed.items()}


def command(results: Sequence[ResultRow], more: Mapping[str, str]) -> str:
    """One command for the seeds of a row, in a form for a shell; ``more`` are the flags of its first run."""
    first = results[0]
    settings = {key: _local(shown(value)) for key, value in first.settings.items()}
    settings.update(("labels", tag.removesuffix(" labels")) for tag in first.tags if is_label_kind(tag))
    told = {
        "model": _local(first.model), "method": _local(first.method), "method-args": _spelled(settings),
        "tasks": first.task, "seed": ",".join(str(result.seed) for result in results), "audio": first.audio,
        "long-audio": first.long_audio, "train-task": first.trained_on,
    }  # fmt: skip
    found = {**{name: value for name, value in told.items() if value}, **more}
    spelled = (f"--{key} {shlex.quote(text)}" if text else f"--{key}" for key, text in found.items())
    return " ".join(["audio-eval", *spelled])


def _spelled(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={_local(shown(item))}" for key, item in value.items())
    return _local(shown(value))


def _local(text: str) -> str:
    """A text without the folders of the machine it was written on."""
    return PurePath(text).name if text.startswith("/") else text
