"""The distribution that a studentised mean is compared with, when parts of its variance rest on few seeds."""

from __future__ import annotations

import math
from typing import NamedTuple

from audio_eval.scoring.statistics.variance import Part, Spread

CONFIDENCE = 0.95
LEAST = 1e-100  # a smaller probability is not told from it


class Reference(NamedTuple):
    """Cochran and Cox (Experimental Designs, 1950, 4.14): the quantile of a sum of variances is the mean of the parts'
    t quantiles, weighted by the variances. It is the normal one where the variance follows from the counts.
    """

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, spread: Spread) -> Reference:
        """That of a mean with this variance."""
        if not spread.estimated or not spread.variance:
            return NORMAL
        return cls(tuple(part for part in (spread.items, spread.seeds) if part.variance))

    def quantile(self, tail: float) -> float:
        """The value that is exceeded with probability ``tail``, below 0.5."""
        from scipy.special import stdtrit

        total = sum(part.variance for part in self.parts)
        return -float(sum(part.variance * stdtrit(part.df, tail) for part in self.parts)) / total

    def tail(self, value: float) -> float:
        """The probability of exceeding ``value``: the inverse of ``quantile``, at least ``LEAST``."""
        from scipy.optimize import brentq

        if value < 0:
            return 1.0 - self.tail(-value)
        if value >= self.quantile(LEAST):
            return LEAST
        log = brentq(lambda log: self.quantile(math.exp(log)) - value, math.log(LEAST), math.log(0.5))
        return math.exp(float(log))

    @property
    def critical(self) -> float:
        """The half width of a two-sided 95 % interval in standard errors."""
        return self.quantile((1.0 - CONFIDENCE) / 2)


NORMAL = Reference((Part(1.0, float("inf")),))
