"""Rows -> LaTeX: the columns that a paper has, in a table with booktabs rules for each set of rows ranked together."""

from __future__ import annotations

import re
from collections.abc import Sequence

from audio_eval.leaderboard.boards import Board, boards
from audio_eval.leaderboard.cells import NONE, plain
from audio_eval.leaderboard.columns import Column, in_table
from audio_eval.leaderboard.row import Row

KEYS = (
    "label",
    "rank_best",
    "tie",
    "average",
    "accuracy",
    "seed_deviation",
    "difference",
    "p_holm",
    "samples",
    "notes",
)

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "Δ": r"$\Delta$", "±": r"$\pm$", "—": "---", "–": "--", "…": r"\ldots{}",  # noqa: RUF001
}  # fmt: skip
_TO_ESCAPE = re.compile(f"[{re.escape(''.join(_SPECIAL))}]")


def latex_cell(text: object) -> str:
    """``plain`` text that LaTeX sets as it is, also at the beginning of a line, after the end of the line before."""
    safe = _TO_ESCAPE.sub(lambda match: _SPECIAL[match.group()], plain(text))
    return f"{{}}{safe}" if safe.startswith(("[", "*")) else safe


def page(task: str, rows: Sequence[Row]) -> str:
    """The tables of one task; they need the package booktabs."""
    shown = [column for column in in_table(rows) if column.key in KEYS or column.key.startswith("group/")]
    return "% \\usepackage{booktabs}\n" + "\n".join(_table(task, board, shown) for board in boards(rows))


def _table(task: str, board: Board, shown: Sequence[Column]) -> str:
    def line(cells: Sequence[object]) -> str:
        return f"{' & '.join(map(latex_cell, cells))} \\\\"

    shown = [column for column in shown if any(column.text(row) != NONE for row in board.rows)]
    title = latex_cell(f"{task}. {board.title}. Accuracy in percent. {board.verdict}".strip())
    return "\n".join([
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{title}}}",
        rf"\begin{{tabular}}{{{''.join('r' if column.right else 'l' for column in shown)}}}",
        r"\toprule",
        line([column.title for column in shown]),
        r"\midrule",
        *(line([column.text(row) for column in shown]) for row in board.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
        "",
    ])  # fmt: skip
