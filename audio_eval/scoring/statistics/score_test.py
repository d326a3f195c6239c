"""Tango's score test and interval for the difference of two paired shares (Statistics in Medicine 17, 1998)."""

from __future__ import annotations

import math
from typing import NamedTuple


class Pairs(NamedTuple):
    """``n`` effective pairs, of which ``lost`` are right before alone and ``won`` right after alone."""

    n: float
    lost: float
    won: float

    def score(self, difference: float) -> float:
        """How many standard errors the observed share lies above ``difference``, -1 to 1.

        The standard error is the one under this difference, from the restricted maximum likelihood of the lost share
        (Tango's formula 4.3).
        """
        gap = self.won - self.lost - self.n * difference
        a = 2.0 * self.n
        b = (2.0 * self.n - self.won + self.lost) * difference - self.lost - self.won
        c = -self.lost * difference * (1.0 - difference)
        lost = (math.sqrt(max(b * b - 4.0 * a * c, 0.0)) - b) / (2.0 * a)
        variance = self.n * (2.0 * lost + difference * (1.0 - difference))
        if variance <= 0.0:
            return 0.0 if gap == 0.0 else math.copysign(math.inf, gap)
        return gap / math.sqrt(variance)

    def interval(self, critical: float) -> tuple[float, float]:
        """The differences whose score is within ``critical``."""
        from scipy.optimize import brentq

        observed = (self.won - self.lost) / self.n
        low = brentq(lambda d: self.score(d) - critical, -1.0, observed) if observed > -1.0 else -1.0
        high = brentq(lambda d: self.score(d) + critical, observed, 1.0) if observed < 1.0 else 1.0
        return float(low), float(high)
