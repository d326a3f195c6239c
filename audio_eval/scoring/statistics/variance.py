"""The variance of a mean over items and seeds, in parts: items that share a recording vary together, seeds add theirs.

A value of item i of cluster g with seed s is taken as mean + cluster + seed + rest, clusters and seeds both drawn at
random (a two-way layout with random effects; Searle, Casella and McCulloch, Variance Components, 1992, ch. 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Part(NamedTuple):
    """A variance that is estimated with so many degrees of freedom; infinitely many where it is known."""

    variance: float
    df: float


class Spread(NamedTuple):
    """The variance of a mean: the part of the ``items`` and one part for each side (method, baseline) with seeds.

    ``estimated`` is False for one seed a side, values of 0 and 1 and one item a recording: there the variance follows
    from the counts alone. ``shared`` is the number of items that an item shares its recording with, itself included,
    averaged over the items.
    """

    items: Part
    seeds: tuple[Part, ...]
    shared: float
    estimated: bool

    @property
    def variance(self) -> float:
        """All parts together."""
        return self.items.variance + sum(part.variance for part in self.seeds)


def spread(sides: Sequence[NDArray[np.float64]], cluster_I: NDArray[np.int64]) -> Spread:
    """The parts of the variance of mean(first side) - mean(second side), or of the only side's mean.

    A side is (S, I): seeds and items. The part of the items is the sandwich variance of the items' means over seeds,
    clustered (Liang and Zeger 1986, with G / (G - 1)); it holds what is left of the rest after averaging the seeds.
    The part of a side's seeds is SD^2 / S of their means, less the share of it that the rest alone would bring.
    """
    n = cluster_I.size
    size_G = np.bincount(cluster_I)
    groups = size_G.size
    correction = groups / max(groups - 1, 1) / n**2
    mean_I = sides[0].mean(axis=0) - (sides[1].mean(axis=0) if len(sides) > 1 else 0.0)
    items = correction * float((np.bincount(cluster_I, mean_I - mean_I.mean()) ** 2).sum())
    seeds = tuple(_seeds(side, cluster_I, correction) for side in sides if len(side) > 1)
    return Spread(
        items=Part(items, max(groups - 1, 1)),
        seeds=seeds,
        shared=float((size_G**2).sum() / n),
        estimated=bool(groups < n or seeds or not all(np.isin(side, (0.0, 1.0)).all() for side in sides)),
    )


def _seeds(values_SI: NDArray[np.float64], cluster_I: NDArray[np.int64], correction: float) -> Part:
    seeds = len(values_SI)
    rest_SI = values_SI - values_SI.mean(axis=1, keepdims=True)
    rest_SI = rest_SI - rest_SI.mean(axis=0)
    rest = correction * sum(float((np.bincount(cluster_I, rest_I) ** 2).sum()) for rest_I in rest_SI) / (seeds - 1)
    return Part(max(0.0, float(values_SI.mean(axis=1).var(ddof=1)) - rest) / seeds, seeds - 1)
