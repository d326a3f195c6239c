"""What happened to items: learned, corrupted, kept right or kept wrong, in all and by the confidence of the vote."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from audio_eval.scoring.statistics.outcomes import Outcome, Runs, common_ids

BINS = 5  # of equal width, from confidence 0 to 1


class Fates(NamedTuple):
    """Numbers of items by what the baseline and the method make of them: means over all pairs of their seeds."""

    learned: float
    corrupted: float
    kept_right: float
    kept_wrong: float


class FateBin(NamedTuple):
    """The items whose vote was so confident: more than ``low``, up to ``high`` (0 belongs to the first bin)."""

    low: float
    high: float
    fates: Fates

    @property
    def items(self) -> float:
        """Their number, a mean as well."""
        return sum(self.fates)


def fates(baseline: Runs, method: Runs) -> Fates:
    """What happened to the items that all runs hold."""
    return _counted(_pairs(baseline, method), len(baseline) * len(method))


def fates_by_confidence(baseline: Runs, method: Runs) -> tuple[FateBin, ...]:
    """The same by bins of the vote's confidence; empty where the method has none. Items without one are left out.

    Each seed of the method counts in the bin of its own vote.
    """
    bins: dict[int, list[tuple[bool, Outcome]]] = defaultdict(list)
    for before, after in _pairs(baseline, method):
        if after.confidence is not None:
            # Exact fifths such as 3 of 5 votes must not be split by rounding.
            place = next((i for i in range(BINS) if after.confidence <= (i + 1) / BINS + 1e-9), BINS - 1)
            bins[place].append((before, after))
    pairs = len(baseline) * len(method)
    return tuple(
        FateBin(place / BINS, (place + 1) / BINS, _counted(bins[place], pairs)) for place in range(BINS) if bins
    )


def _pairs(baseline: Runs, method: Runs) -> Iterator[tuple[bool, Outcome]]:
    """Whether the baseline was right, and what the method made of it: for each pair of seeds and each item."""
    ids = common_ids([*baseline, *method])
    before = [{outcome.id: outcome.correct for outcome in run} for run in baseline]
    for run in method:
        after = {outcome.id: outcome for outcome in run}
        for known in before:
            yield from ((known[item], after[item]) for item in ids)


def _counted(found: Iterator[tuple[bool, Outcome]] | list[tuple[bool, Outcome]], pairs: int) -> Fates:
    counts: dict[tuple[bool, bool], int] = defaultdict(int)
    for before, after in found:
        counts[before, after.correct] += 1
    order = ((False, True), (True, False), (True, True), (False, False))
    return Fates(*(counts[key] / pairs for key in order))
