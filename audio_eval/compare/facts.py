"""How the two runs were made, side by side: what a leaderboard says of the source and the cost of their rows."""

from __future__ import annotations

from typing import NamedTuple

from audio_eval.compare.pair import Pair
from audio_eval.leaderboard.cells import NONE, plain
from audio_eval.leaderboard.columns import columns
from audio_eval.leaderboard.cost import COST

_COST = {column.key for column in COST}
_FIRST = ("model", "method")


class Fact(NamedTuple):
    """One thing that is known of A and of B, in ``plain`` words; ``NONE`` where it is not known."""

    name: str
    texts: tuple[str, str]

    @property
    def differs(self) -> bool:
        """Whether it is not the same in both."""
        return self.texts[0] != self.texts[1]


def facts(pair: Pair) -> list[Fact]:
    """Model and method, then sources and costs; without what neither run says, and the runs' own names."""
    rows = pair.a.row, pair.b.row
    found = [Fact(name, _texts(*(getattr(row, name) for row in rows))) for name in _FIRST]
    for column in columns(rows):
        if column.key != "runs" and (column.place == "sources" or column.key in _COST):
            found.append(Fact(plain(column.title), _texts(*(column.text(row) for row in rows))))
    return [fact for fact in found if fact.texts != (NONE, NONE)]


def _texts(a: str, b: str) -> tuple[str, str]:
    return plain(a), plain(b)
