"""Models and methods against tasks: accuracy on each, and the mean over the tasks whose answers are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from audio_eval.leaderboard.labels import labels
from audio_eval.leaderboard.row import Row

HIDDEN = "hidden"


@dataclass(frozen=True)
class Line:
    """A model with a method: its rows by task, several where prompt, scorer, data or items differ.

    ``mean`` is unweighted and None unless each task with known answers has exactly one number, on all of its items.
    """

    label: str
    rows: Mapping[str, Sequence[Row]]
    mean: float | None

    @property
    def first(self) -> Row:
        """The row of its first task."""
        return next(iter(self.rows.values()))[0]


def overview(rows_by_task: Mapping[str, Sequence[Row]]) -> list[Line]:
    """The lines, those with the highest mean first and those without one last."""
    scored = [task for task, rows in rows_by_task.items() if any(row.accuracy is not None for row in rows)]
    entries: dict[tuple[str, ...], dict[str, list[Row]]] = {}
    for task, rows in rows_by_task.items():
        for row in rows:
            key = (row.model, str(row.model_revision), row.method, repr(row.tags), repr(sorted(row.settings.items())))
            entries.setdefault(key, {}).setdefault(task, []).append(row)
    names = labels([next(iter(by_task.values()))[0].facts.across_tasks() for by_task in entries.values()])
    full = most_items(rows_by_task)
    found = []
    for name, by_task in zip(names, entries.values(), strict=True):
        single = [rows[0] for task in scored if len(rows := by_task.get(task, [])) == 1 and rows[0].n == full[task]]
        known = [row.accuracy for row in single if row.accuracy is not None]
        found.append(Line(name, by_task, fmean(known) if known and len(known) == len(scored) else None))
    return sorted(found, key=lambda line: (line.mean is None, -(line.mean or 0.0), line.label))


def most_items(rows_by_task: Mapping[str, Sequence[Row]]) -> dict[str, int]:
    """The largest n of each task."""
    return {task: max((row.n for row in rows), default=0) for task, rows in rows_by_task.items()}


def entry(rows: Sequence[Row], full: int) -> str:
    """The accuracies of one line on one task; "" where there are none."""
    texts = (HIDDEN if row.accuracy is None else f"{row.accuracy:.1f}" for row in rows)
    return " / ".join(t + (f" (n {r.n})" if r.n != full else "") for t, r in zip(texts, rows, strict=True))
