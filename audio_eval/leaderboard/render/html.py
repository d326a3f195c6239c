"""Rows -> index.html: one file that sorts and filters, with charts, and with what is behind each number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from statistics import fmean
from typing import Any

from audio_eval.leaderboard.boards import Board, boards
from audio_eval.leaderboard.caveats import caveats
from audio_eval.leaderboard.cells import plain
from audio_eval.leaderboard.columns import Column, columns, in_table, notes
from audio_eval.leaderboard.cost import device
from audio_eval.leaderboard.overview import entry, most_items, overview
from audio_eval.leaderboard.published import INTRODUCTION, Published
from audio_eval.leaderboard.reproduce import command
from audio_eval.leaderboard.row import Row
from audio_eval.leaderboard.runs import Run
from audio_eval.pages import Page

PAGE = Page(
    "audio_eval.leaderboard.render",
    "index.html",
    styles=("index.css",),
    scripts=(
        "rows.js", "provenance.js", "reported.js", "tables.js", "overview.js", "against.js", "cost.js", "groups.js",
        "caveats.js", "index.js",
    ),
)  # fmt: skip
COSTS = {"wall_s": "wall time per run, seconds", "samples": "samples per run", "device_hours": "device time, hours"}
Links = Callable[[Run], Sequence[tuple[str, str]]]  # pages about a run: what each is, and its address


def page(
    rows: Sequence[Row],
    published: Sequence[Published] = (),
    left_out: Sequence[str] = (),
    links: Links = lambda run: (),
    page: Page = PAGE,
    more: Mapping[str, Any] | None = None,
) -> str:
    """The file's text; all texts in it are ``plain``.

    ``page`` may have further scripts than ``PAGE``, and ``more`` is data for these.
    """
    tasks = sorted({*(row.task for row in rows), *(figure.task for figure in published)})
    by_task = {task: [row for row in rows if row.task == task] for task in tasks}
    data = {
        "tasks": [_task(task, by_task[task], [p for p in published if p.task == task], links) for task in tasks],
        "overview": _overview({task: of for task, of in by_task.items() if of}),
        "costs": COSTS,
        "introduction": INTRODUCTION,
        "leftOut": [plain(reason) for reason in left_out],
        **(more or {}),
    }
    counts = {"rows": len(rows), "runs": sum(len(row.runs) for row in rows), "reported": len(published)}
    return page.render("Leaderboard", data, counts=counts)


def _task(task: str, rows: Sequence[Row], published: Sequence[Published], links: Links) -> dict[str, Any]:
    shown, found = in_table(rows), columns(rows)
    sources = [column for column in found if column.place == "sources"]
    kinds = dict.fromkeys(kind for row in rows for run in row.runs for kind in run.summary.groups)
    groups = {kind: _groups(kind, rows) for kind in kinds}
    return {
        "name": plain(task),
        "columns": [_column(column) for column in shown],
        "sources": [_column(column) for column in sources],
        "kinds": [{"name": plain(kind), "groups": [[plain(g), n] for g, n in groups[kind].items()]} for kind in kinds],
        "boards": [_board(board, shown, sources, groups, links) for board in boards(rows)],
        "reported": _reported(published),
        "caveats": [
            [plain(text) for text in (c.title, c.told)] + [list(map(plain, c.labels))] for c in caveats(rows, published)
        ],
    }


def _column(column: Column) -> dict[str, Any]:
    return {
        "key": plain(column.key),
        "title": plain(column.title),
        "legend": plain(column.legend),
        "right": column.right,
    }


def _groups(kind: str, rows: Sequence[Row]) -> dict[str, int]:
    """The largest n of each group."""
    found: dict[str, int] = {}
    for row in rows:
        for run in row.runs:
            for name, score in run.summary.groups.get(kind, {}).items():
                found[name] = max(found.get(name, 0), score.n)
    return found


def _board(
    board: Board, shown: Sequence[Column], sources: Sequence[Column], groups: dict[str, dict[str, int]], links: Links
) -> dict[str, Any]:
    rows = [_row(row, shown, sources, groups, links) for row in board.rows]
    return {"title": plain(board.title), "verdict": plain(board.verdict), "ranked": board.ranked, "rows": rows}


def _row(
    row: Row, shown: Sequence[Column], sources: Sequence[Column], groups: dict[str, dict[str, int]], links: Links
) -> dict[str, Any]:
    results = [run.summary for run in row.runs]
    paired, costs = row.comparison, {column.key: column for column in shown if column.key in COSTS}
    return {
        "id": row_id(row),
        "label": plain(row.label),
        "model": plain(row.model),
        "method": plain(row.method),
        "texts": [plain(column.text(row)) for column in shown],
        "values": [_number(column.value(row)) for column in shown],
        "sources": [plain(column.text(row)) for column in sources],
        "interval": row.interval and [row.interval.low, row.accuracy, row.interval.high],
        "difference": paired and [paired.low, paired.difference, paired.high, paired.margin],
        "baseline": row.baseline,
        "tie": row.standing.tie if row.standing else "",
        "costs": {key: _number(column.value(row)) for key, column in costs.items()},
        "device": plain(device(row) or "not recorded"),
        "notes": list(map(plain, notes(row))),
        "groups": [[_percent(row, kind, name) for name in names] for kind, names in groups.items()],
        "seeds": [[result.seed, result.accuracy, result.wall_s] for result in results],
        "links": [[run.summary.seed, what, address] for run in row.runs for what, address in links(run)],
        "command": plain(command(results, row.runs[0].flags)),
        "recorded": bool(row.runs[0].versions),
        "reported": [
            [figure.accuracy, plain(figure.version or "version not stated"), plain(figure.source)]
            for figure in row.reported
        ],
    }


def row_id(row: Row) -> str:
    """What a link to a row names: it stays while the row does, whatever other rows there are."""
    return sha256(repr((row.task, row.facts, row.n)).encode()).hexdigest()[:10]


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _percent(row: Row, kind: str, name: str) -> float | None:
    scores = [run.summary.groups.get(kind, {}).get(name) for run in row.runs]
    known = [score.accuracy for score in scores if score is not None and score.accuracy is not None]
    return round(fmean(known), 2) if known else None


def _reported(published: Sequence[Published]) -> list[dict[str, Any]]:
    """The published figures of one task, a table for each version of its data."""
    found = []
    for version in sorted({figure.version or "" for figure in published}, reverse=True):
        figures = [figure for figure in published if (figure.version or "") == version]
        groups = list(dict.fromkeys(name for figure in figures for name in figure.groups))
        lines = [
            {
                "model": plain(figure.model), "method": plain(figure.method or ""), "accuracy": figure.accuracy,
                "groups": [figure.groups.get(name) for name in groups], "source": plain(figure.source),
                "remark": figure.remark,
            }
            for figure in sorted(figures, key=lambda f: (-f.accuracy, f.model, f.method or "", f.source))
        ]  # fmt: skip
        found.append({"version": plain(version) or "not stated", "groups": list(map(plain, groups)), "rows": lines})
    return found


def _overview(by_task: dict[str, list[Row]]) -> dict[str, Any]:
    full = most_items(by_task)
    lines = [
        {
            "label": plain(line.label),
            "model": plain(line.first.model),
            "method": plain(line.first.method),
            "notes": list(map(plain, notes(line.first))),
            "texts": [entry(line.rows.get(task, []), full[task]) for task in by_task],
            "values": [rows[0].accuracy if len(rows := line.rows.get(task, [])) == 1 else None for task in by_task],
            "ids": [row_id(rows[0]) if (rows := line.rows.get(task, [])) else None for task in by_task],
            "mean": line.mean,
        }
        for line in overview(by_task)
    ]
    return {"tasks": list(map(plain, by_task)), "lines": lines}
