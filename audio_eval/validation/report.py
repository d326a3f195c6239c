"""Report: what the checks found in one task's data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """One finding. ``id`` is an item's id, the place of a row, or "" for the whole task."""

    check: str
    id: str
    detail: str


class Bin(NamedTuple):
    """How many recordings last ``start`` to ``end`` seconds, ``end`` excluded; None means without an upper limit."""

    start: float
    end: float | None
    n: int


@dataclass
class Figures:
    """Figures of the readable recordings. A recording that several items share is counted once."""

    items: int  # with a recording
    recordings: int
    seconds: float
    shortest: float
    longest: float
    longer_than: Counter[str]  # than the window of a model family, by its name
    durations: list[Bin]
    rates: Counter[int]
    channels: Counter[int]
    formats: Counter[str]  # by content
    misnamed: Counter[str]  # "MP3 named .wav"


@dataclass
class Report:
    """Errors make a benchmark unfit for scoring; notes are facts that its users should know.

    ``source`` says where the items are from. ``items`` is None where they could not be read, ``audio`` None where no
    recording was read.
    """

    task: str
    source: str
    items: int | None
    errors: list[Finding]
    notes: list[Finding]
    audio: Figures | None = None

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "source": self.source,
            "items": self.items,
            "errors": [finding._asdict() for finding in self.errors],
            "notes": [finding._asdict() for finding in self.notes],
            "audio": _figures(self.audio) if self.audio else None,
        }


def _figures(figures: Figures) -> dict[str, Any]:
    return vars(figures) | {"durations": [one._asdict() for one in figures.durations]}
