"""Ranks with their uncertainty: the places that a row may have, and which rows were not told apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from audio_eval.letters import letter_at
from audio_eval.scoring.statistics.evidence import evidence
from audio_eval.scoring.statistics.exact import mcnemar
from audio_eval.scoring.statistics.families import holm
from audio_eval.scoring.statistics.outcomes import RIGHT, Runs, clusters, common_ids, states

LEVEL = 0.05


class Standing(NamedTuple):
    """The place of a row among those it is ranked with: ``best``..``worst``, from 1, holds the true place at 95 %.

    Rows that share a letter of ``tie`` were not shown to differ.
    """

    best: int
    worst: int
    tie: str


def standings(rows: Sequence[Runs]) -> list[Standing]:
    """The standing of each row among ``rows``, which have the same items.

    A row is tested against every other one (``p_values``), adjusted for their number: the family is that of the row, as
    every other interval of a table is about its row (the marginal confidence sets of Mogstad, Romano, Shaikh and
    Wilhelm, Review of Economic Studies 91, 2024). Its best place is one below the rows that were shown to be better,
    its worst one above those shown to be worse. Calling a row better that is worse is false too, so the family is both
    one-sided hypotheses of each pair (Holm 1979). Two rows share a letter unless both families tell them apart.

    Raises ValueError when two rows have no item in common.
    """
    n, found = len(rows), p_values(rows)
    means = [sum(outcome.correct for run in runs for outcome in run) / sum(map(len, runs)) for runs in rows]
    told = []  # the rows that each row was shown to differ from
    for row in range(n):
        others = [other for other in range(n) if other != row]
        tested = [found[min(row, other), max(row, other)] for other in others]
        adjusted = holm([p / 2 for p in tested] + [1 - p / 2 for p in tested])
        told.append({other for other, p in zip(others, adjusted, strict=False) if p <= LEVEL})
    ties = tie_letters(n, {(i, j) for i, j in found if j in told[i] and i in told[j]})
    better = [sum(means[other] > means[row] for other in told[row]) for row in range(n)]
    return [Standing(1 + better[i], n - (len(told[i]) - better[i]), ties[i]) for i in range(n)]


def p_values(rows: Sequence[Runs]) -> dict[tuple[int, int], float]:
    """The two-sided p-value of no difference for each pair of rows, by their places.

    Exact McNemar for one run against one on different recordings, else the score test on effective counts: random flips
    of recordings cannot be as rare as so many tests ask for.
    """
    import numpy as np

    ids = common_ids([run for runs in rows for run in runs])
    right = [states(runs, ids) == RIGHT for runs in rows]
    cluster_I = clusters(rows[0][0], ids)
    apart = int(cluster_I.max()) + 1 == len(ids)
    found = {}
    for first, second in combinations(range(len(rows)), 2):
        before_SI, after_SI = right[first], right[second]
        if len(before_SI) == len(after_SI) == 1 and apart:
            p_value = mcnemar(int(np.sum(before_SI & ~after_SI)), int(np.sum(~before_SI & after_SI)))
        else:
            p_value = evidence(before_SI, after_SI, cluster_I).p_value()
        found[first, second] = p_value
    return found


def tie_letters(rows: int, differ: set[tuple[int, int]]) -> list[str]:
    """Letters for ``rows`` rows: two share one exactly where they do not ``differ`` (pairs of places, lower first).

    Insert and absorb (Piepho, Journal of Computational and Graphical Statistics 13, 2004). Sets are bits of numbers.
    """
    groups = [(1 << rows) - 1] if rows else []
    for first, second in sorted(differ):
        both = 1 << first | 1 << second
        parted = [group & ~(1 << place) for group in groups if group & both == both for place in (first, second)]
        groups = [group for group in groups if group & both != both]
        for group in parted:
            if not any(group & ~other == 0 for other in [*groups, *(p for p in parted if p != group)]):
                groups.append(group)
    groups.sort(key=lambda group: [not group >> place & 1 for place in range(rows)])
    letters = [letter_at(number).lower() for number in range(len(groups))]
    return ["".join(letters[g] for g, group in enumerate(groups) if group >> place & 1) for place in range(rows)]
