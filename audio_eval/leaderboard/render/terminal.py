"""Rows -> one table per task for a terminal: few columns, at most ``WIDTH`` wide, and in a sentence what each means."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby

from tabulate import tabulate

from audio_eval.leaderboard.cells import plain
from audio_eval.leaderboard.columns import in_table, legends
from audio_eval.leaderboard.rows import Row

WIDTH = 120
WIDEST = {"label": 30, "notes": 14}  # their texts go on in further lines
HEADER = 11  # titles longer than this are broken at blanks


def terminal_table(rows: Sequence[Row]) -> str:
    """A headed table per task, and once the legend of all columns."""
    tables = [_table(list(of_task)) for _, of_task in groupby(rows, key=lambda row: row.task)]
    return "\n\n".join([*tables, _legend(rows)])


def _table(rows: Sequence[Row]) -> str:
    shown = in_table(rows, terminal=True)
    models = ", ".join(dict.fromkeys(plain(row.model) for row in rows))
    lines = [[plain(column.text(row)) for column in shown] for row in rows]
    body = tabulate(
        lines,
        [plain(column.title) for column in shown],
        tablefmt="simple",
        disable_numparse=True,  # numbers are ready; tabulate would drop trailing zeros
        colalign=["right" if column.right else "left" for column in shown],
        maxcolwidths=[WIDEST.get(column.key, WIDTH) for column in shown],
        maxheadercolwidths=[WIDTH if "[" in column.title else HEADER for column in shown],
    )
    return f"{plain(rows[0].task)}, {models}\n\n{body}"


def _legend(rows: Sequence[Row]) -> str:
    found = legends(in_table(rows, terminal=True))
    texts = [f"{titles}: {legend.partition('. ')[0]}".replace("`", "") for titles, legend in found]
    return "\n".join(line for text in texts for line in textwrap.wrap(text, WIDTH, subsequent_indent="  "))
