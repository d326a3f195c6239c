"""Families of tests: the more methods are tried, the likelier one of them looks better by luck."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of one family, adjusted for their number, in the same order (Holm 1979).

    Rejecting those at or below 5 % keeps the probability of any false rejection at 5 % or below, whatever the tests
    have to do with each other. The smallest is multiplied by m, the next by m - 1 and so on; none falls below one
    before it.
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted
