"""Intervals and paired tests for accuracies: how uncertain a number is, and whether a method beats its baseline.

Items are counted as whole numbers, which become percent or points at the end, so that parts add up exactly. Intervals
and tests are over items: the seeds of a method are averaged per item and never counted as further items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 10_000
# Random flips of the sign test. With the observed assignment there are 10,000, so the smallest p is 0.0002.
FLIPS = 9_999
# Fixed, so that the same runs always give the same table.
RANDOM_SEED = 20_250_101

_RIGHT, _WRONG_OPTION, _UNPARSABLE = 0, 1, 2


class Outcome(NamedTuple):
    """One item in one run. ``parsed`` is False when no option could be read from the response."""

    id: str
    correct: bool
    parsed: bool


class Interval(NamedTuple):
    """A two-sided 95 % interval, in percent of items or in points."""

    low: float
    high: float


class Comparison(NamedTuple):
    """A method against its baseline on the ``n`` items both answered.

    ``difference`` = method - baseline in points, with its 95 % interval ``low``..``high`` and ``p_value``.
    ``b`` counts the items only the baseline has right, ``c`` those only the method has right; with several seeds both
    are means over all pairs of a baseline seed and a method seed. ``difference`` is 100 * (c - b) / n.
    ``format_gain`` (points): items unparsable before and right after, minus the reverse. ``answer_gain`` (points): a
    wrong option before and right after, minus the reverse. Their sum is ``difference``.
    """

    difference: float
    low: float
    high: float
    p_value: float
    n: int
    b: float
    c: float
    format_gain: float
    answer_gain: float


def wilson_interval(correct: int, n: int) -> Interval:
    """Wilson's score interval (1927) of an accuracy, in percent; 0..100 when there are no items."""
    from scipy.stats import binomtest

    if n == 0:
        return Interval(0.0, 100.0)
    interval = binomtest(correct, n).proportion_ci(confidence_level=CONFIDENCE, method="wilson")
    return Interval(100.0 * float(interval.low), 100.0 * float(interval.high))


def accuracy_interval(runs: Sequence[Sequence[Outcome]]) -> Interval:
    """The interval of the mean accuracy of one or several seeds, in percent.

    For one seed it is Wilson's. For several it is the percentile bootstrap over the items that all seeds share, of each
    item's mean over the seeds.
    """
    if len(runs) == 1:
        return wilson_interval(sum(outcome.correct for outcome in runs[0]), len(runs[0]))
    right_I = (_states(runs, _common_ids(runs)) == _RIGHT).sum(axis=0)
    return _bootstrap_mean(right_I, 100.0 / len(runs))


def compare(baseline: Sequence[Sequence[Outcome]], method: Sequence[Sequence[Outcome]]) -> Comparison:
    """Compare one or several seeds of a method with one or several seeds of a baseline, paired by item id.

    Only items that all runs have count. The interval is the paired percentile bootstrap over items. The p-value is
    the exact McNemar test (two-sided binomial on the discordant pairs) for one seed against one, else the paired
    sign-flip permutation test on the items' mean differences. With several seeds, each baseline seed is set against
    each method seed and the counts are averaged.

    Raises ValueError when there is no common item, or when a run holds an id twice.
    """
    ids = _common_ids([*baseline, *method])
    before_RI, after_RI = _states(baseline, ids), _states(method, ids)
    pairs, n = len(baseline) * len(method), len(ids)
    right_before_I, right_after_I = (before_RI == _RIGHT).sum(axis=0), (after_RI == _RIGHT).sum(axis=0)
    # In units of 1 / pairs of an item, so that all numbers are whole.
    difference_I = right_after_I * len(baseline) - right_before_I * len(method)
    only_before = int((right_before_I * (len(method) - right_after_I)).sum())
    only_after = int(((len(baseline) - right_before_I) * right_after_I).sum())

    def gain(state: int) -> int:
        """Pairs that left ``state`` for a right answer, minus those that went the other way."""
        gained = ((before_RI == state).sum(axis=0) * right_after_I).sum()
        lost = (right_before_I * (after_RI == state).sum(axis=0)).sum()
        return int(gained - lost)

    points = 100.0 / (pairs * n)
    p_value = _mcnemar(only_before, only_after) if pairs == 1 else _sign_flip(difference_I)
    low, high = _bootstrap_mean(difference_I, 100.0 / pairs)
    return Comparison(
        difference=points * (only_after - only_before),
        low=low,
        high=high,
        p_value=p_value,
        n=n,
        b=only_before / pairs,
        c=only_after / pairs,
        format_gain=points * gain(_UNPARSABLE),
        answer_gain=points * gain(_WRONG_OPTION),
    )


def _common_ids(runs: Sequence[Sequence[Outcome]]) -> list[str]:
    """The ids that all runs hold, sorted."""
    sets = [{outcome.id for outcome in run} for run in runs]
    if any(len(ids) != len(run) for ids, run in zip(sets, runs, strict=True)):
        raise ValueError("a run holds the same item id twice")
    common = set.intersection(*sets) if sets else set()
    if not common:
        raise ValueError("the runs have no item in common")
    return sorted(common)


def _states(runs: Sequence[Sequence[Outcome]], ids: Sequence[str]) -> NDArray[np.int64]:
    """Right, wrong option or unparsable for each run R and item I."""
    import numpy as np

    rows = []
    for run in runs:
        by_id = {outcome.id: outcome for outcome in run}
        rows.append([_state(by_id[item]) for item in ids])
    return np.array(rows, dtype=np.int64).reshape(len(runs), len(ids))


def _state(outcome: Outcome) -> int:
    if outcome.correct:
        return _RIGHT
    return _WRONG_OPTION if outcome.parsed else _UNPARSABLE


def _bootstrap_mean(values_I: NDArray[np.int64], scale: float) -> Interval:
    """Percentile bootstrap of ``scale * mean(values_I)`` over items.

    A resample of n items with replacement is a multinomial draw over the few distinct values: the same distribution
    as drawing item numbers, without a matrix of resamples times items.
    """
    import numpy as np

    n = len(values_I)
    distinct_V, counts_V = np.unique(values_I, return_counts=True)
    draws_SV = np.random.default_rng(RANDOM_SEED).multinomial(n, counts_V / n, size=RESAMPLES)
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(scale * (draws_SV @ distinct_V) / n, [tail, 100.0 - tail])
    return Interval(float(low), float(high))


def _mcnemar(b: int, c: int) -> float:
    """Exact two-sided McNemar test: the discordant pairs are fair coin tosses under the null hypothesis."""
    from scipy.stats import binomtest

    return float(binomtest(b, b + c, 0.5).pvalue) if b + c else 1.0


def _sign_flip(difference_I: NDArray[np.int64]) -> float:
    """Two-sided paired permutation test on the sum of item differences; exact when there are few enough of them."""
    import numpy as np
    from scipy.stats import permutation_test

    moved_I = difference_I[difference_I != 0]  # a zero stays zero under any flip
    if len(moved_I) < 2:
        return 1.0
    result = permutation_test(
        (moved_I,),
        lambda flipped, axis: flipped.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=FLIPS,
        batch=1_000,
        rng=np.random.default_rng(RANDOM_SEED),
    )
    return float(result.pvalue)
