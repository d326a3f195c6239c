"""What happened to items, by the confidence of the vote on them."""

from __future__ import annotations

from collections.abc import Sequence

from audio_eval.leaderboard.cells import cell, table
from audio_eval.leaderboard.row import Row
from audio_eval.leaderboard.runs import BASELINE

_HEADERS = ["method", "confidence", "items", "learned", "corrupted", "kept right", "kept wrong"]


def fates_section(rows: Sequence[Row]) -> str:
    """A markdown section with a line per method and bin of confidence; "" where nothing was voted on."""
    lines = [
        [cell(row.label), f"{found.low:.1f}-{found.high:.1f}", *(f"{n:.0f}" for n in (found.items, *found.fates))]
        for row in rows
        for found in row.fates_by_confidence
        if found.items
    ]
    if not lines:
        return ""
    note = (
        f"What became of items that `{BASELINE}` has right or wrong, by the confidence of the vote that the method "
        "adapted to or answered with: its share of the votes or of the views. Means over pairs of seeds."
    )
    body = table(lines, _HEADERS, "github", right=range(2, len(_HEADERS)))
    return f"\n## By the confidence of the vote\n\n{note}\n\n{body}\n"
