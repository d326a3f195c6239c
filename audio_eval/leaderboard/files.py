"""The files of a leaderboard: per task a page, a CSV and a LaTeX table; a page over all tasks; everything as JSON; and
index.html, where a reader sorts, filters and looks behind the numbers.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from audio_eval.errors import UserError
from audio_eval.leaderboard.cells import cell, line
from audio_eval.leaderboard.published import Published, published_tables
from audio_eval.leaderboard.render import csv, html, json, latex
from audio_eval.leaderboard.render.markdown import all_table, task_table
from audio_eval.leaderboard.reported import four_columns, reported_rows
from audio_eval.leaderboard.row import Row
from audio_eval.leaderboard.runs import BASELINE, Run
from audio_eval.store import write_output

SUFFIXES = frozenset({".md", ".csv", ".tex", ".html"})


def write(
    rows: Sequence[Row], out_dir: str | Path, published: Sequence[Published] = (), left_out: Sequence[str] = ()
) -> list[Path]:
    """Write the files of ``pages`` below ``out_dir``; returns their paths.

    Each file is replaced as a whole. Raises UserError when there is nothing to show, or the folder cannot be written.
    """
    folder = Path(out_dir)
    found = pages(rows, published, left_out, lambda run: _reports(run, folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in found.items():
            write_output(folder / name, text.encode())
    except OSError as error:
        raise UserError(
            f"cannot write the leaderboard to '{folder}' ({error.strerror}): give another folder."
        ) from error
    return [folder / name for name in found]


def pages(
    rows: Sequence[Row],
    published: Sequence[Published] = (),
    left_out: Sequence[str] = (),
    links: html.Links = lambda run: (),
) -> dict[str, str]:
    """The text of every file, by name: ``<task>.md``, ``.csv`` and ``.tex``, ``all.md``, ``leaderboard.json`` and
    ``index.html``.

    A task of which there are only published figures has a page alone. ``left_out`` says of runs why they are in no
    table, ``links`` which pages there are about a run. Raises UserError without any figure.
    """
    if not rows and not published:
        raise UserError("no finished run to make a leaderboard of: give run directories that hold a result.json.")
    rows = [replace(row, reported=_reported(row, published)) for row in rows]
    published = [*published, *reported_rows(rows)]
    measured = {task: [row for row in rows if row.task == task] for task in sorted({row.task for row in rows})}
    found: dict[str, str] = {}
    for task in sorted({*measured, *(row.task for row in published)}):
        own, others = measured.get(task, []), published_tables(row for row in published if row.task == task)
        table = task_table(own) if own else "No run of this task is kept here.\n"
        found[f"{file_stem(task)}.md"] = f"# {cell(task)}\n\n{table}{others}"
        if own:
            found[f"{file_stem(task)}.csv"] = csv.page(own)
            found[f"{file_stem(task)}.tex"] = latex.page(task, own)
    only = sorted({row.task for row in published} - measured.keys())
    listed = "".join(f"- [{cell(task)}]({file_stem(task)}.md)\n" for task in only)
    reasons = "".join(f"- {line(reason)}\n" for reason in left_out)
    found["all.md"] = "\n".join([
        "# All tasks\n",
        *([all_table(measured)] if measured else []),
        *([four] if (four := four_columns(rows)) else []),
        *([f"Tasks with published figures only, reported by others:\n\n{listed}"] if listed else []),
        *([f"Left out:\n\n{reasons}"] if reasons else []),
    ])  # fmt: skip
    ordered = [row for of in measured.values() for row in of]
    found["leaderboard.json"] = json.page(ordered, published, left_out)
    found["index.html"] = html.page(ordered, published, left_out, links)
    return found


def file_stem(task: str) -> str:
    """The task's name where it is a safe file name, else a safe form of it that no other task has."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", task).lstrip(".")[:100]
    kept = safe == task and safe not in ("all", "index", "README")
    return safe if kept else f"{safe}-{hashlib.sha256(task.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _reports(run: Run, folder: Path) -> list[tuple[str, str]]:
    """The report of a run, by a path from ``folder``, so that both may move together."""
    if run.folder is None or not (report := run.folder / "report.html").is_file():
        return []
    try:
        return [("report", quote(os.fsencode(Path(os.path.relpath(report, folder)).as_posix())))]
    except ValueError:  # on another drive
        return []


def _reported(row: Row, published: Iterable[Published]) -> tuple[Published, ...]:
    """What others report of the same model and method on the same task, where the row's settings are the usual ones."""
    if row.settings or not row.hears:
        return ()
    found = [
        figure
        for figure in published
        if figure.task == row.task
        and figure.model.casefold() == row.model.casefold()
        and (figure.method or BASELINE).partition(" (")[0].casefold() == row.method.casefold()
    ]
    return tuple(sorted(found, key=lambda figure: (-figure.accuracy, figure.source)))
