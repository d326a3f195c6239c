"""The files of a leaderboard: a page and a CSV table per task, one page over all tasks, and everything as JSON."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from audio_eval.errors import UserError
from audio_eval.leaderboard.cells import cell
from audio_eval.leaderboard.render import csv, json
from audio_eval.leaderboard.render.markdown import all_table, task_table
from audio_eval.leaderboard.rows import Row
from audio_eval.store import write_atomic


def write(rows: Sequence[Row], out_dir: str | Path) -> list[Path]:
    """Write ``<task>.md``, ``<task>.csv``, ``all.md`` and ``leaderboard.json`` below ``out_dir``; returns the paths.

    Each file is replaced as a whole. Raises UserError when there is no row, or when the folder cannot be written.
    """
    if not rows:
        raise UserError("no finished run to make a leaderboard of: give run directories that hold a result.json.")
    by_task: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.task):
        by_task.setdefault(row.task, []).append(row)
    pages: dict[str, str] = {}
    for task, of in by_task.items():
        stem = _file_stem(task)
        pages |= {f"{stem}.md": f"# {cell(task)}\n\n{task_table(of)}", f"{stem}.csv": csv.page(of)}
    pages["all.md"] = f"# All tasks\n\n{all_table(by_task)}"
    pages["leaderboard.json"] = json.page([row for of in by_task.values() for row in of])
    folder = Path(out_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            write_atomic(folder / name, text.encode())
    except OSError as error:
        raise UserError(
            f"cannot write the leaderboard to '{folder}' ({error.strerror}): give another folder."
        ) from error
    return [folder / name for name in pages]


def _file_stem(task: str) -> str:
    """The task's name where it is a safe file name, else a safe form of it that no other task has."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", task).lstrip(".")[:100]
    return safe if safe == task and safe != "all" else f"{safe}-{hashlib.sha256(task.encode()).hexdigest()[:8]}"
