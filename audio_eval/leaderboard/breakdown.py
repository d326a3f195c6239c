"""The breakdowns that a benchmark's own script prints: accuracy by each of its group labels, by our rule and by its."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from audio_eval.leaderboard.cells import NONE, cell, table
from audio_eval.leaderboard.rows import Row
from audio_eval.leaderboard.summary import GroupScore


def breakdowns(rows: Sequence[Row]) -> str:
    """A markdown section a label, a line a group, a column a row of the leaderboard; "" where nothing is grouped."""
    labels = dict.fromkeys(label for row in rows for run in row.runs for label in run.summary.groups)
    sections = [f"\n## By {cell(label)}\n\n{_section(rows, label)}\n" for label in labels]
    note = "\nBelow: accuracy in percent, mean over seeds; after the stroke by the benchmark's own rule, on its n.\n"
    return note + "".join(sections) if sections else ""


def _section(rows: Sequence[Row], label: str) -> str:
    names = dict.fromkeys(name for row in rows for run in row.runs for name in run.summary.groups.get(label, {}))
    lines = []
    for name in names:
        scores = [[run.summary.groups.get(label, {}).get(name) for run in row.runs] for row in rows]
        n = max(score.n for found in scores for score in found if score is not None)
        lines.append([cell(name), str(n), *(_entry([s for s in found if s is not None]) for found in scores)])
    titles = [_name(row) for row in rows]
    # rows of one method are told apart by their number in the list above
    columns = [cell(t if titles.count(t) == 1 else f"{i}. {t}") for i, t in enumerate(titles, start=1)]
    return table(lines, [cell(label), "n", *columns], "github", right=range(1, len(columns) + 2))


def _name(row: Row) -> str:
    arm = row.runs[0].summary.audio
    return f"{row.model} {row.method}" + (f" (audio: {arm})" if arm else "")


def _entry(scores: Sequence[GroupScore]) -> str:
    ours = [score.accuracy for score in scores if score.accuracy is not None]
    theirs = [score.official.accuracy for score in scores if score.official is not None]
    return (f"{fmean(ours):.1f}" if ours else NONE) + (f" / {fmean(theirs):.1f}" if theirs else "")
