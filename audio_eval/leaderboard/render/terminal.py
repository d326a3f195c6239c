"""Rows -> one table per task for a terminal: few columns, at most ``WIDTH`` wide, and in a sentence what each means."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby

from audio_eval.leaderboard.boards import boards
from audio_eval.leaderboard.cells import NONE, plain, table
from audio_eval.leaderboard.column import Column
from audio_eval.leaderboard.columns import in_table, legends
from audio_eval.leaderboard.row import Row

WIDTH = 120
WIDEST = {"label": 20, "notes": 15}  # characters; longer texts go on in further lines
TITLE = 11  # longer titles too


def terminal_table(rows: Sequence[Row]) -> str:
    """A headed table per task, and once the legend of all columns."""
    tables = [_table(list(of_task)) for _, of_task in groupby(rows, key=lambda row: row.task)]
    return "\n\n".join([*tables, _legend(rows)])


def _table(rows: Sequence[Row]) -> str:
    """The rows of a task: a table for each set that is ranked together."""
    shown, found = in_table(rows, terminal=True), boards(rows)
    models = ", ".join(dict.fromkeys(plain(row.model) for row in rows))
    parts = [f"{plain(rows[0].task)}, {models}"]
    for board in found:
        title = [] if len(found) == 1 else textwrap.wrap(plain(board.title), WIDTH)
        filled = [column for column in shown if any(column.text(row) != NONE for row in board.rows)]
        parts += ["\n".join(title), _body(board.rows, filled)]
    return "\n\n".join(filter(None, parts))


def _body(rows: Sequence[Row], shown: Sequence[Column]) -> str:
    lines = [[_wrapped(plain(column.title), TITLE) for column in shown]]
    lines += [[_wrapped(plain(column.text(row)), WIDEST.get(column.key, WIDTH)) for column in shown] for row in rows]
    rules = ["-" * max(len(part) for text in texts for part in text.split("\n")) for texts in zip(*lines, strict=True)]
    right = [number for number, column in enumerate(shown) if column.right]
    # As plain lines: tabulate pads what it knows to be a title, and the table would not fit.
    return table([lines[0], rules, *lines[1:]], [], "plain", right)


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False))


def _legend(rows: Sequence[Row]) -> str:
    found = legends(in_table(rows, terminal=True))
    texts = [f"{titles}: {legend.partition('. ')[0].rstrip('.')}.".replace("`", "") for titles, legend in found]
    return "\n".join(line for text in texts for line in textwrap.wrap(text, WIDTH, subsequent_indent="  "))
