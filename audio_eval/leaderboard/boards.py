"""Boards: the rows of a task that are ranked together, and those that are ranked with no other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from audio_eval.leaderboard.ranking import conditions
from audio_eval.leaderboard.row import Row

APART = "Not ranked"


@dataclass(frozen=True)
class Board:
    """Rows of a task, best first. ``title`` says under which conditions they are ranked, or that they are not."""

    title: str
    rows: tuple[Row, ...]
    ranked: bool

    @property
    def verdict(self) -> str:
        """In a sentence, which row is best and whether it is shown to be better than the next; "" where none is."""
        if not self.ranked or len(self.rows) < 2:
            return ""
        best, *others = self.rows
        assert best.accuracy is not None and best.interval is not None and best.standing is not None  # it is ranked
        start = f"Best: {best.label}, {best.accuracy:.1f} % [{best.interval.low:.1f}, {best.interval.high:.1f}]."
        tied = [row.label for row in others if row.standing and set(row.standing.tie) & set(best.standing.tie)]
        if not tied:
            return f"{start} It is shown to be better than every other row."
        few = "; ".join(tied[:3]) + (f"; and {len(tied) - 3} more" if len(tied) > 3 else "")
        return f"{start} Not shown to differ from it: {few}."


def boards(rows: Sequence[Row]) -> list[Board]:
    """The boards of one task: those with the most rows first, and what is not ranked last."""
    together: dict[Hashable, list[Row]] = defaultdict(list)
    for row in rows:
        together[None if row.apart else conditions(row)].append(row)
    apart = together.pop(None, [])
    order = sorted(together.values(), key=lambda members: -len(members))
    found = [Board(_title(members[0]), tuple(members), True) for members in order]
    return [*found, Board(APART, tuple(apart), False)] if apart else found


def _title(row: Row) -> str:
    summary = row.runs[0].summary
    told = {
        "prompt": row.prompt, "scorer": row.scorer, "data": row.data_revision, "recordings": summary.audio_revision,
        "long audio": summary.long_audio, "graders": summary.graders,
    }  # fmt: skip
    return "; ".join([*(f"{name} {value}" for name, value in told.items() if value), f"{row.n} items"])
