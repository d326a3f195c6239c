"""Scores that a benchmark's own server gave to runs of ours: shown as reported, and with the measured ones averaged.

The average is AQA-TTRL's (arXiv 2510.05478): the unweighted mean of MMAU test-mini, MMAU test, MMAR and MMSU. The
answers of MMAU test are hidden, so its column can only be what the server said (``audio-eval report-score``).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from audio_eval.leaderboard.cells import NONE, cell, table
from audio_eval.leaderboard.labels import labels
from audio_eval.leaderboard.published import Published
from audio_eval.leaderboard.row import Row

FOUR = {"mmau_test_mini": "MMAU test-mini", "mmau_test": "MMAU test", "mmar": "MMAR", "mmsu": "MMSU"}


def reported_rows(rows: Sequence[Row]) -> list[Published]:
    """One figure per run that has one, in the form of what others have published."""
    found = []
    for row in rows:
        for run in row.runs:
            if said := run.reported:
                version = (row.data_revision or "").partition("+")[0] or None
                method = row.label if len(row.seeds) == 1 else f"{row.label}, seed {run.summary.seed}"
                source = f"{said.source}, {said.date}: run {run.name}"
                found.append(
                    Published(
                        task=row.task,
                        version=version,
                        model=row.model,
                        method=method,
                        accuracy=said.accuracy,
                        groups=said.groups,
                        source=source,
                    )
                )
    return found


def four_columns(rows: Sequence[Row]) -> str:
    """A markdown table of the systems that have all four numbers on all items; "" where none has."""
    full = {task: max((row.n for row in rows if row.task == task), default=0) for task in FOUR}
    systems: dict[tuple[str, ...], dict[str, list[Row]]] = {}
    for row in rows:
        if row.task in FOUR and row.n == full[row.task]:
            key = (row.model, str(row.model_revision), row.method, repr(row.tags), repr(sorted(row.settings.items())))
            systems.setdefault(key, {}).setdefault(row.task, []).append(row)
    whole = [found for found in systems.values() if all(len(found.get(task, [])) == 1 for task in FOUR)]
    names = labels([found["mmar"][0].facts.across_tasks() for found in whole])
    lines = []
    for name, found in zip(names, whole, strict=True):
        figures = [_figure(found[task][0]) for task in FOUR]
        if all(value is not None for value, _ in figures):
            mean = fmean(value for value, _ in figures if value is not None)
            lines.append((-mean, [cell(name), *(text for _, text in figures), f"{mean:.2f}"]))
    if not lines:
        return ""
    body = table([line for _, line in sorted(lines)], ["method", *FOUR.values(), "average"], "github", range(1, 6))
    return (
        f"## The four columns of AQA-TTRL\n\n{body}\n\nAccuracy in percent and its unweighted mean. *reported*: said "
        "by the benchmark's server (source and date on the task's page), not measured here.\n"
    )


def _figure(row: Row) -> tuple[float | None, str]:
    """The measured accuracy; else the mean of what was reported for every seed."""
    if row.accuracy is not None:
        return row.accuracy, f"{row.accuracy:.2f}"
    said = [run.reported.accuracy for run in row.runs if run.reported]
    if not said or len(said) < len(row.runs):
        return None, NONE
    return fmean(said), f"{fmean(said):.2f} *reported*"
