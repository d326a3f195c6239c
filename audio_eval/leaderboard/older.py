"""What results of earlier versions do not state, taken from the rest of their run directories."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

from safetensors import safe_open

from audio_eval.errors import UserError
from audio_eval.models.backends import choose
from audio_eval.runlog import ResultRow, RunSpec
from audio_eval.runlog.records import Environment


def completed(row: ResultRow, folder: Path, spec: object, environment: Environment | None) -> ResultRow:
    """``row`` with the device and the number of trained weights, where it states none and they are known.

    The device of env.json is this machine's: it says nothing of a model that did not run in this process.
    """
    found: dict[str, Any] = {}
    if row.device is None and environment and isinstance(spec, RunSpec) and _ran_here(spec):
        found["device"] = environment.device
    if row.trained_parameters is None and (files := sorted(folder.glob("adapt/step-*/adapter*.safetensors"))):
        found["trained_parameters"] = _values(files[-1])
    return row.model_copy(update=found)


def _ran_here(spec: RunSpec) -> bool:
    try:
        return choose(spec.model, spec.backend).backend.name == "hf"
    except UserError:  # a model or a backend that is not known here
        return False


def _values(file: Path) -> int:
    """How many numbers a file of tensors holds, read from its header."""
    with safe_open(file, framework="np") as tensors:
        return sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118 - no mapping
