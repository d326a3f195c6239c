"""Rows -> markdown: a table per task with its legend and the sources of every number, and one table over all tasks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from audio_eval.leaderboard.boards import Board, boards
from audio_eval.leaderboard.breakdown import breakdowns
from audio_eval.leaderboard.cells import NONE, cell, line, table
from audio_eval.leaderboard.columns import Column, columns, in_table, legends, notes
from audio_eval.leaderboard.fates import fates_section
from audio_eval.leaderboard.overview import HIDDEN, entry, most_items, overview
from audio_eval.leaderboard.row import Row

# Their accuracy says nothing about real audio-language models.
EMBEDDED_MODELS = frozenset({"tiny-omni", "tiny-audio"})


def task_table(rows: Sequence[Row]) -> str:
    """The tables of one task, a table for each set of rows that are ranked together; the legend, the sources of the
    rows, the fates of items, and the breakdowns.
    """
    shown, found = in_table(rows), boards(rows)
    tables = "\n\n".join(_board(board, shown, len(found) > 1) for board in found)
    ordered = [row for board in found for row in board.rows]
    return (
        f"{tables}\n\n{_models(rows)}\n\n{_legend(rows, shown)}\n\n{_sources(ordered)}\n{fates_section(ordered)}"
        f"{breakdowns(ordered)}"
    )


def _board(board: Board, shown: Sequence[Column], titled: bool) -> str:
    filled = [column for column in shown if any(column.text(row) != NONE for row in board.rows)]
    told = [f"### {cell(board.title)}" if titled else "", _body(board.rows, filled), cell(board.verdict)]
    return "\n\n".join(filter(None, told))


def summary_table(rows: Sequence[Row], keys: Collection[str] | None = None) -> str:
    """The table of one task with its legend; ``keys`` names the columns if not all are wanted."""
    shown = [column for column in in_table(rows) if keys is None or column.key in keys]
    return f"{_body(rows, shown)}\n\n{_models(rows)}\n\n{_legend(rows, shown)}"


def _body(rows: Sequence[Row], shown: Sequence[Column]) -> str:
    lines = [[cell(column.text(row)) for column in shown] for row in rows]
    right = [number for number, column in enumerate(shown) if column.right]
    return table(lines, [cell(column.title) for column in shown], "github", right)


def all_table(rows_by_task: Mapping[str, Sequence[Row]]) -> str:
    """Models and methods against tasks: accuracy, and the unweighted mean over the tasks whose answers are known.

    A cell with several accuracies (prompts, scorers, data revisions or items differ) shows them all and has no mean.
    """
    tasks, full = list(rows_by_task), most_items(rows_by_task)
    lines = []
    for found in overview(rows_by_task):
        entries = [entry(found.rows.get(task, []), full[task]) or NONE for task in tasks]
        mean = NONE if found.mean is None else f"{found.mean:.1f}"
        lines.append([cell(text) for text in (found.label, *entries, mean, ", ".join(notes(found.first)) or NONE)])
    headers = ["method", *map(cell, tasks), "mean", "notes"]
    body = table(lines, headers, "github", right=range(1, len(headers) - 1))
    every = [row for rows in rows_by_task.values() for row in rows]
    return (
        f"{body}\n\n{_models(every)}\n\n"
        "Accuracy in percent; intervals, tests and sources are on each task's own page. mean: unweighted, over the "
        "tasks with known answers, only where each has exactly one number on all of its items; `(n ...)` marks a "
        "number on fewer items, `/` several that differ in prompt, scorer, data or items.\n"
    )


def _models(rows: Sequence[Row]) -> str:
    models = dict.fromkeys(row.model for row in rows)
    demo = [model for model in models if model in EMBEDDED_MODELS]
    note = " (an embedded demo model: its numbers are the demo's and say nothing about real models)" if demo else ""
    return f"Model: {', '.join(cell(m) + (note if m in demo else '') for m in models)}."


def _legend(rows: Sequence[Row], shown: Sequence[Column]) -> str:
    lines = [f"- {cell(titles)}: {legend}" for titles, legend in legends(shown)]
    rules = dict.fromkeys(row.official_rule for row in rows if row.official_rule)
    if rules and any(column.key == "official" for column in shown):
        lines.append(f"- rule of `official`: {', '.join(map(cell, rules))}.")
    if any(row.accuracy is None for row in rows):
        lines.append(f"- {HIDDEN}: the answers of these items are not public, or nobody has judged the responses.")
    return "\n".join(lines)


def _sources(rows: Sequence[Row]) -> str:
    """Where the numbers are from: first what is the same for all rows, then the rest of each row."""
    texts = {c.title: [c.text(row) for row in rows] for c in columns(rows) if c.place == "sources"}
    shared = {title for title, found in texts.items() if len(rows) > 1 and len(set(found)) == 1}

    def told(number: int, titles: Iterable[str]) -> str:
        return "; ".join(f"{cell(t)} {cell(texts[t][number])}" for t in titles if texts[t][number] != NONE)

    own = [title for title in texts if title not in shared]
    lines = [f"{number}. {line(row.label)}: {told(number - 1, own)}" for number, row in enumerate(rows, start=1)]
    same = f" All: {told(0, [t for t in texts if t in shared])}." if shared else ""
    return "\n".join([f"Sources of the rows, from the top.{same}", "", *lines])
