"""A method against its baseline on the same items: difference, interval, tests, and what the difference is made of."""

from __future__ import annotations

from typing import NamedTuple

from audio_eval.scoring.statistics.evidence import evidence
from audio_eval.scoring.statistics.exact import mcnemar, sign_flip
from audio_eval.scoring.statistics.outcomes import RIGHT, UNPARSABLE, WRONG_OPTION, Runs, clusters, common_ids, states

MARGIN = 2.0  # points; differences within it count as none where equivalence is tested


class Comparison(NamedTuple):
    """A method against its baseline on the ``n`` items both answered, of ``recordings`` different recordings.

    ``difference`` = method - baseline in points, with its 95 % interval ``low``..``high``, and ``p_value`` of there
    being none. ``p_equivalent`` is that of a difference as large as ``margin`` points or larger (two one-sided tests).
    ``detectable`` is the smallest difference in points that data like these show with probability 0.8.
    ``lost`` counts the items that only the baseline has right, ``won`` those that only the method has right; with
    several seeds both are means over all pairs of a baseline seed and a method seed. ``difference`` is
    100 * (won - lost) / n. ``from_unparsable`` (points): items unparsable before and right after, minus the reverse.
    ``from_wrong`` (points): a wrong option before and right after, minus the reverse. Their sum is ``difference``.
    """

    difference: float
    low: float
    high: float
    p_value: float
    n: int
    recordings: int
    lost: float
    won: float
    from_unparsable: float
    from_wrong: float
    p_equivalent: float
    margin: float
    detectable: float

    @property
    def equivalent(self) -> bool:
        """Whether the difference is shown to be within the margin, at 5 %."""
        return self.p_equivalent <= 0.05


def compare(baseline: Runs, method: Runs, margin: float = MARGIN) -> Comparison:
    """Compare one or several seeds of a method with one or several seeds of a baseline, paired by item id.

    Only items that all runs have count. With several seeds, each baseline seed is set against each method seed and the
    counts are averaged; interval and tests are about further items (recordings) and further seeds. The p-value is that
    of the exact McNemar test for one seed against one, of flips of whole recordings where items share some, and of the
    score test that the interval belongs to where several seeds differ.

    Raises ValueError when there is no common item, or when a run holds an id twice.
    """
    import numpy as np

    ids = common_ids([*baseline, *method])
    before_RI, after_RI = states(baseline, ids), states(method, ids)
    cluster_I = clusters(method[0], ids)
    befores, afters = len(before_RI), len(after_RI)
    pairs, n, recordings = befores * afters, len(ids), int(cluster_I.max()) + 1
    right_before_I, right_after_I = (before_RI == RIGHT).sum(axis=0), (after_RI == RIGHT).sum(axis=0)
    found = evidence(before_RI == RIGHT, after_RI == RIGHT, cluster_I)
    lost = int((right_before_I * (afters - right_after_I)).sum())
    won = int(((befores - right_before_I) * right_after_I).sum())

    def gain(state: int) -> int:
        """Pairs that left ``state`` for a right answer, minus those that went the other way."""
        gained = ((before_RI == state).sum(axis=0) * right_after_I).sum()
        lost = (right_before_I * (after_RI == state).sum(axis=0)).sum()
        return int(gained - lost)

    if pairs > 1:
        p_value = found.p_value()
    elif recordings < n:
        p_value = sign_flip(np.bincount(cluster_I, right_after_I - right_before_I).astype(float))
    else:
        p_value = mcnemar(lost, won)
    points = 100.0 / (pairs * n)
    interval = found.interval()
    return Comparison(
        difference=points * (won - lost),
        low=interval.low,
        high=interval.high,
        p_value=p_value,
        n=n,
        recordings=recordings,
        lost=lost / pairs,
        won=won / pairs,
        from_unparsable=points * gain(UNPARSABLE),
        from_wrong=points * gain(WRONG_OPTION),
        p_equivalent=found.p_equivalent(margin),
        margin=margin,
        detectable=found.detectable(),
    )
