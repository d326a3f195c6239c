"""Rows -> markdown: a table per task with its legend and the sources of every number, and one table over all tasks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import fmean

from audio_eval.leaderboard.breakdown import breakdowns
from audio_eval.leaderboard.cells import NONE, cell, table
from audio_eval.leaderboard.columns import HIDDEN, Column, columns, in_table, legends, notes
from audio_eval.leaderboard.fates import fates_section
from audio_eval.leaderboard.labels import labels
from audio_eval.leaderboard.rows import Row

# Their accuracy says nothing about real audio-language models.
EMBEDDED_MODELS = frozenset({"tiny-omni", "tiny-audio"})


def task_table(rows: Sequence[Row]) -> str:
    """The table of one task with its legend, the sources of its rows, the fates of items, and the breakdowns."""
    return f"{summary_table(rows)}\n\n{_sources(rows)}\n{fates_section(rows)}{breakdowns(rows)}"


def summary_table(rows: Sequence[Row], keys: Collection[str] | None = None) -> str:
    """The table of one task with its legend; ``keys`` names the columns if not all are wanted."""
    shown = [column for column in in_table(rows) if keys is None or column.key in keys]
    lines = [[cell(column.text(row)) for column in shown] for row in rows]
    right = [number for number, column in enumerate(shown) if column.right]
    body = table(lines, [cell(column.title) for column in shown], "github", right)
    return f"{body}\n\n{_models(rows)}\n\n{_legend(rows, shown)}"


def all_table(rows_by_task: Mapping[str, Sequence[Row]]) -> str:
    """Models and methods against tasks: accuracy, and the unweighted mean over the tasks whose answers are known.

    A cell with several accuracies (prompts, scorers, data revisions or items differ) shows them all and has no mean.
    """
    tasks = list(rows_by_task)
    scored = [task for task in tasks if any(row.accuracy is not None for row in rows_by_task[task])]
    entries: dict[tuple[str, ...], dict[str, list[Row]]] = {}
    for task in tasks:
        for row in rows_by_task[task]:
            key = (row.model, str(row.model_revision), row.method, repr(row.tags), repr(sorted(row.settings.items())))
            entries.setdefault(key, {}).setdefault(task, []).append(row)
    first = [next(iter(by_task.values()))[0] for by_task in entries.values()]
    names = labels([row.facts.across_tasks() for row in first])
    full = {task: max((row.n for row in rows_by_task[task]), default=0) for task in tasks}
    ranked = []
    for name, row, by_task in zip(names, first, entries.values(), strict=True):
        single = [rows[0] for task in scored if len(rows := by_task.get(task, [])) == 1 and rows[0].n == full[task]]
        known = [row.accuracy for row in single if row.accuracy is not None]
        mean = fmean(known) if known and len(known) == len(scored) else None
        cells = [_entry(by_task.get(task, []), full[task]) for task in tasks]
        line = [name, *cells, NONE if mean is None else f"{mean:.1f}", ", ".join(notes(row)) or NONE]
        ranked.append(((mean is None, -(mean or 0.0), name), [cell(text) for text in line]))
    headers = ["method", *map(cell, tasks), "mean", "notes"]
    body = table([line for _, line in sorted(ranked)], headers, "github", right=range(1, len(headers) - 1))
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
    lines = [f"{number}. {cell(row.label)}: {told(number - 1, own)}" for number, row in enumerate(rows, start=1)]
    same = f" All: {told(0, [t for t in texts if t in shared])}." if shared else ""
    return "\n".join([f"Sources of the rows, from the top.{same}", "", *lines])


def _entry(rows: Sequence[Row], full: int) -> str:
    texts = (HIDDEN if row.accuracy is None else f"{row.accuracy:.1f}" for row in rows)
    return " / ".join(t + (f" (n {r.n})" if r.n != full else "") for t, r in zip(texts, rows, strict=True)) or NONE
