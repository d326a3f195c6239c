"""A difference in sentences."""

from __future__ import annotations

from audio_eval.compare.difference import Difference
from audio_eval.compare.pair import Pair
from audio_eval.leaderboard.cells import plain, signed
from audio_eval.leaderboard.columns import p_text
from audio_eval.scoring.statistics import Comparison

LEVEL = 0.05


def verdict(pair: Pair, found: Difference) -> list[str]:
    """Whether one run is shown to be better, and what the difference is made of; all in it is ``plain``."""
    a, b, whole = f"A ({plain(pair.a.label)})", f"B ({plain(pair.b.label)})", found.whole
    told = f"{points(whole)}, p {p_text(whole.p_value)}"
    if whole.p_value <= LEVEL:
        better, worse = (b, a) if whole.difference > 0 else (a, b)
        first = f"{better} is shown to be better than {worse}: B - A is {told}."
    elif whole.equivalent:
        first = f"{b} is shown to be within {whole.margin:g} points of {a}: B - A is {told}."
    else:
        first = (
            f"{b} is not shown to differ from {a}: B - A is {told}. Items like these would show a difference of "
            f"{whole.detectable:.1f} points."
        )
    changed = f"B has right {_items(whole.won)} that A has not, and A {_items(whole.lost)} that B has not."
    parts = (
        f"Of the {signed(whole.difference)} points, {_part(found.reading)} from responses that could be read in one "
        f"run alone, and {_part(found.answers)} from other answers."
    )
    return [first, changed, parts]


def compared_on(found: Difference) -> str:
    """On what the runs are compared; recordings are told where items share them, which then count together."""
    shared = f" about {found.whole.recordings} recordings" if found.whole.recordings < found.whole.n else ""
    return f"{found.whole.n} items of both runs{shared}"


def points(found: Comparison) -> str:
    """A difference in points with its interval."""
    return f"{signed(found.difference)} [{signed(found.low)}, {signed(found.high)}]"


def _part(found: Comparison) -> str:
    return f"{signed(found.difference)} (p {p_text(found.p_value)}) are"


def _items(count: float) -> str:
    return f"{count:.0f} {'item' if count == 1 else 'items'}"
