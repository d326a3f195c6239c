"""Checks of a benchmark's data before anything is run on it: rows, gold answers, recordings."""

from __future__ import annotations

from audio_eval.data import DataError
from audio_eval.progress import Progress
from audio_eval.task import Task, load_task
from audio_eval.validation.items import check_items
from audio_eval.validation.recordings import check_recordings
from audio_eval.validation.report import Figures, Finding, Report

SCHEMA = "rows that break the schema"


def validate(
    name: str, *, data_dir: str | None = None, source: str | None = None, include_path: str | None = None,
    limit: int | None = None, audio: bool = True, progress: Progress | None = None,
) -> Report:  # fmt: skip
    """Check one ``task`` or ``task:split``; without ``audio`` recordings are not checked.

    The report says what is wrong with the data. ``UserError`` for an unknown name and for missing files.
    """
    try:
        task = load_task(name, data_dir=data_dir, limit=limit, include_path=include_path, source=source)
    except DataError as error:
        return Report(name, error.where, None, [_row(problem) for problem in error.problems], [])
    errors, notes = check_items(task)
    report = Report(name, _origin(task), len(task.questions), errors, notes)
    if audio:
        found = check_recordings(task, progress or Progress())
        report.errors += found.errors
        report.notes += found.notes
        report.audio = found.figures
    return report


def _row(problem: str) -> Finding:
    """A problem of a ``DataError`` ("line 3: 'id' is missing") as a finding, with the place for an id."""
    place, _, detail = problem.partition(": ")
    return Finding(SCHEMA, place, detail)


def _origin(task: Task) -> str:
    return f"{task.source}, data {task.revision}"


__all__ = ["SCHEMA", "Figures", "Finding", "Report", "validate"]
