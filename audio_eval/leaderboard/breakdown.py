"""The breakdowns that a benchmark's own script prints: accuracy per group, by our rule and by its own."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from audio_eval.leaderboard.cells import NONE, cell, table
from audio_eval.leaderboard.row import Row
from audio_eval.scoring.figures import GroupScore


def breakdowns(rows: Sequence[Row]) -> str:
    """A markdown section per kind of group: one line per group, one column per row; "" where nothing is grouped."""
    kinds = dict.fromkeys(kind for row in rows for run in row.runs for kind in run.summary.groups)
    sections = [f"\n## By {cell(kind)}\n\n{_section(rows, kind)}\n" for kind in kinds]
    note = "\nBelow: accuracy in percent, mean over seeds; after the slash by the benchmark's own rule, on its n.\n"
    return note + "".join(sections) if sections else ""


def _section(rows: Sequence[Row], kind: str) -> str:
    names = dict.fromkeys(name for row in rows for run in row.runs for name in run.summary.groups.get(kind, {}))
    lines = []
    for name in names:
        scores = [[run.summary.groups.get(kind, {}).get(name) for run in row.runs] for row in rows]
        n = max(score.n for found in scores for score in found if score is not None)
        lines.append([cell(name), str(n), *(_entry([s for s in found if s is not None]) for found in scores)])
    headers = [cell(kind), "n", *(cell(row.label) for row in rows)]
    return table(lines, headers, "github", right=range(1, len(headers)))


def _entry(scores: Sequence[GroupScore]) -> str:
    ours = [score.accuracy for score in scores if score.accuracy is not None]
    theirs = [score.official.accuracy for score in scores if score.official is not None]
    return (f"{fmean(ours):.1f}" if ours else NONE) + (f" / {fmean(theirs):.1f}" if theirs else "")
