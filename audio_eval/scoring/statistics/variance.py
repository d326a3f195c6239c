"""The variance of a mean over items and seeds, in parts: items that share a recording vary together, seeds add theirs.

A value of item i of cluster g with seed s is taken as mean + cluster + seed + rest, clusters and seeds both drawn at
random (a two-way layout with random effects; Searle, Casella and McCulloch, Variance Components, 1992, ch. 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Part(NamedTuple):
    """A variance that is estimated with so many degrees of freedom; infinitely many where it is known."""

    variance: float
    df: float


class Spread(NamedTuple):
    """The variance of a mean: the part of the ``items``, and that of the ``seeds``, zero where there is one a side.

    ``estimated`` is False for one seed a side, values of 0 and 1 and one item a recording: there the variance follows
    from the counts alone. ``shared`` is the number of items that an item shares its recording with, itself included,
    averaged over the items.
    """

    items: Part
    seeds: Part
    shared: float
    estimated: bool

    @property
    def variance(self) -> float:
        """All parts together."""
        return self.items.variance + self.seeds.variance


def spread(sides: Sequence[NDArray[np.float64]], cluster_I: NDArray[np.int64]) -> Spread:
    """The parts of the variance of mean(first side) - mean(second side), or of the only side's mean.

    A side is (S, I): seeds and items. The choice of items brings the sandwich variance of the items' means over seeds,
    clustered (Liang and Zeger 1986, with G / (G - 1)); each side's seeds bring SD^2 / S of their means. Both hold what
    the rest leaves in the mean: it is taken from the items, so that it counts once and with the few degrees of freedom
    of the seeds. As the sum is never truly less than what the items bring, it is kept at half of that at least: a few
    seeds may agree by chance.
    """
    import numpy as np

    n = cluster_I.size
    size_G = np.bincount(cluster_I)
    groups = size_G.size
    correction = groups / max(groups - 1, 1) / n**2
    mean_I = sides[0].mean(axis=0) - (sides[1].mean(axis=0) if len(sides) > 1 else 0.0)
    items = correction * _square(mean_I - mean_I.mean(), cluster_I)
    several = [side for side in sides if len(side) > 1]
    seeds = _together([Part(float(side.mean(axis=1).var(ddof=1)) / len(side), len(side) - 1) for side in several])
    rest = correction * sum(_rest(side, cluster_I) for side in several)
    return Spread(
        items=Part(max(items - rest, items / 2 - seeds.variance, 0.0), max(groups - 1, 1)),
        seeds=seeds,
        shared=float((size_G**2).sum() / n),
        estimated=bool(groups < n or several or not all(np.isin(side, (0.0, 1.0)).all() for side in sides)),
    )


def _together(parts: Sequence[Part]) -> Part:
    """The sum of variances, with the degrees of freedom of Welch and Satterthwaite (1946)."""
    total = sum(part.variance for part in parts)
    return Part(total, total**2 / sum(part.variance**2 / part.df for part in parts)) if total else Part(0.0, 1.0)


def _rest(values_SI: NDArray[np.float64], cluster_I: NDArray[np.int64]) -> float:
    """The sum over clusters of what neither cluster nor seed explains, as a variance of the mean over the seeds."""
    rest_SI = values_SI - values_SI.mean(axis=1, keepdims=True)
    rest_SI = rest_SI - rest_SI.mean(axis=0)
    seeds = len(values_SI)
    return sum(_square(rest_I, cluster_I) for rest_I in rest_SI) / (seeds * (seeds - 1))


def _square(values_I: NDArray[np.float64], cluster_I: NDArray[np.int64]) -> float:
    """The sum of squares of the clusters' sums."""
    import numpy as np

    return float((np.bincount(cluster_I, values_I) ** 2).sum())
