"""Tracker: what shows the steps of a run elsewhere, behind the same five calls whoever made it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from audio_eval.errors import UserError
from audio_eval.plugins import named


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told of a run. ``name`` and ``id`` stay the same when the run is resumed.

    ``again``: the tracker has it from an earlier sitting, in which it was told the steps up to ``logged`` (-1: none).
    It is told none of them again.
    """

    folder: Path
    name: str
    id: str
    task: str
    spec: Mapping[str, Any]
    again: bool = False
    logged: int = -1


class Tracker(ABC):
    """One run's way to one tracker. What it raises is a warning of the run, never its end."""

    # What must be importable, and what pip installs for it.
    package: ClassVar[str]
    install: ClassVar[str]

    @classmethod
    def check(cls) -> None:
        """``UserError`` where it cannot work: called before anything runs."""
        if find_spec(cls.package) is None:
            raise UserError(f"tracker '{cls.package}' is not installed: pip install {cls.install}.")

    @abstractmethod
    def begin(self, run: TrackedRun) -> None:
        """Open the run, or go on with it."""

    @abstractmethod
    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """The metrics of a step; steps come in their order."""

    @abstractmethod
    def finish(self, figures: Mapping[str, float]) -> None:
        """The final figures of the run."""

    @abstractmethod
    def close(self) -> None:
        """The sitting is over, with the run finished or not. What was told must be safe now."""


def find_trackers(names: Iterable[str]) -> dict[str, type[Tracker]]:
    """The trackers of these names, ready to work; ``UserError`` for one that is unknown or not installed."""
    found = {name: named("trackers", "tracker", name) for name in names}
    for tracker in found.values():
        tracker.check()
    return found
