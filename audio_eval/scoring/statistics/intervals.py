"""The interval of an accuracy: Wilson's, on effective counts where there are several seeds or shared recordings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from audio_eval.scoring.statistics.effective import design_effect
from audio_eval.scoring.statistics.outcomes import RIGHT, Interval, Runs, clusters, common_ids, states
from audio_eval.scoring.statistics.reference import NORMAL, Reference
from audio_eval.scoring.statistics.variance import spread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def wilson_interval(correct: int, n: int) -> Interval:
    """Wilson's score interval (1927) of an accuracy, in percent; 0..100 when there are no items."""
    return _wilson(correct / n, n, NORMAL.critical) if n else Interval(0.0, 100.0)


def accuracy_interval(runs: Runs) -> Interval:
    """The interval of the mean accuracy of one or several seeds over the items that all share, in percent.

    It is about further items (recordings) of the kind and further seeds. With one seed it is conditional on that seed.
    """
    ids = common_ids(runs)
    return share_interval((states(runs, ids) == RIGHT).astype(float), clusters(runs[0], ids))


def mean_interval(values: Sequence[float]) -> Interval:
    """The interval of the mean of independent values between 0 and 1, in percent; 0..100 with fewer than two."""
    import numpy as np

    if len(values) < 2:
        return Interval(0.0, 100.0)
    return share_interval(np.array(values, dtype=float)[None], np.arange(len(values)))


def seed_deviation(runs: Runs) -> float | None:
    """The standard deviation of the seeds' accuracies in points; None for one seed."""
    if len(runs) < 2:
        return None
    right_SI = states(runs, common_ids(runs)) == RIGHT
    return 100.0 * float(right_SI.mean(axis=1).std(ddof=1)) if len(right_SI) > 1 else 0.0  # all alike


def share_interval(value_SI: NDArray[np.float64], cluster_I: NDArray[np.int64]) -> Interval:
    """The interval in percent of the mean of values 0 to 1, by seed and item."""
    n, share, found = value_SI.shape[1], float(value_SI.mean()), spread([value_SI], cluster_I)
    size = n / design_effect(found, n, share * (1.0 - share) / n)
    return _wilson(share, size, Reference.of(found).critical)


def _wilson(share: float, n: float, critical: float) -> Interval:
    """Wilson's interval of a share of ``n`` effective items, in percent."""
    middle, square = share + critical**2 / (2 * n), critical**2 / n
    half = critical * math.sqrt(share * (1.0 - share) / n + square / (4 * n))
    low, high = (middle - half) / (1.0 + square), (middle + half) / (1.0 + square)
    return Interval(100.0 * max(low, 0.0), 100.0 * min(high, 1.0))
