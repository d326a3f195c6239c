"""Versions of transformers: from which one on a model works, known without importing it."""

from __future__ import annotations

from importlib.metadata import requires, version

from packaging.requirements import Requirement
from packaging.version import Version

from audio_eval.models.catalog import ModelEntry

UPGRADE = "python -m pip install --upgrade transformers"


def oldest() -> str:
    """The oldest version that this package allows, by its metadata."""
    [wanted] = [r for r in map(Requirement, requires("audio-eval") or ()) if r.name == "transformers"]
    return next(bound.version for bound in wanted.specifier if bound.operator == ">=")


def since(entry: ModelEntry) -> str:
    """The first version that has what the model needs."""
    return entry.since or oldest()


def too_old(entry: ModelEntry) -> str | None:
    """The installed version where the model needs a newer one, else None."""
    now = version("transformers")
    return now if Version(now) < Version(since(entry)) else None
