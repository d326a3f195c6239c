"""The files of a leaderboard: a page and a CSV table per task, one page over all tasks, and everything as JSON."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from audio_eval.errors import UserError
from audio_eval.leaderboard.cells import cell
from audio_eval.leaderboard.published import Published, published_tables
from audio_eval.leaderboard.render import csv, json
from audio_eval.leaderboard.render.markdown import all_table, task_table
from audio_eval.leaderboard.reported import four_columns, reported_rows
from audio_eval.leaderboard.rows import Row
from audio_eval.store import write_atomic


def write(rows: Sequence[Row], out_dir: str | Path, published: Sequence[Published] = ()) -> list[Path]:
    """Write the files of ``pages`` below ``out_dir``; returns their paths.

    Each file is replaced as a whole. Raises UserError when there is nothing to show, or the folder cannot be written.
    """
    folder, found = Path(out_dir), pages(rows, published)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in found.items():
            write_atomic(folder / name, text.encode())
    except OSError as error:
        raise UserError(
            f"cannot write the leaderboard to '{folder}' ({error.strerror}): give another folder."
        ) from error
    return [folder / name for name in found]


def pages(rows: Sequence[Row], published: Sequence[Published] = ()) -> dict[str, str]:
    """The text of ``<task>.md``, ``<task>.csv``, ``all.md`` and ``leaderboard.json``, by file name.

    A task of which there are only published figures has a page and no CSV table. Raises UserError without any figure.
    """
    if not rows and not published:
        raise UserError("no finished run to make a leaderboard of: give run directories that hold a result.json.")
    published = [*published, *reported_rows(rows)]
    measured = {task: [row for row in rows if row.task == task] for task in sorted({row.task for row in rows})}
    found: dict[str, str] = {}
    for task in sorted({*measured, *(row.task for row in published)}):
        own, others = measured.get(task, []), published_tables(row for row in published if row.task == task)
        table = task_table(own) if own else "No run of this task is kept here.\n"
        found[f"{file_stem(task)}.md"] = f"# {cell(task)}\n\n{table}{others}"
        if own:
            found[f"{file_stem(task)}.csv"] = csv.page(own)
    only = sorted({row.task for row in published} - measured.keys())
    links = "".join(f"- [{cell(task)}]({file_stem(task)}.md)\n" for task in only)
    found["all.md"] = "\n".join([
        "# All tasks\n",
        *([all_table(measured)] if measured else []),
        *([four] if (four := four_columns(rows)) else []),
        *([f"Tasks with published figures only, reported by others:\n\n{links}"] if links else []),
    ])  # fmt: skip
    found["leaderboard.json"] = json.page([row for of in measured.values() for row in of], published)
    return found


def file_stem(task: str) -> str:
    """The task's name where it is a safe file name, else a safe form of it that no other task has."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", task).lstrip(".")[:100]
    return safe if safe == task and safe != "all" else f"{safe}-{hashlib.sha256(task.encode()).hexdigest()[:8]}"
