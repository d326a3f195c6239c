"""What the right and wrong answers of two sides say of their difference: effective pairs and their reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from audio_eval.scoring.statistics.effective import design_effect
from audio_eval.scoring.statistics.outcomes import Interval
from audio_eval.scoring.statistics.reference import Reference
from audio_eval.scoring.statistics.score_test import Pairs
from audio_eval.scoring.statistics.variance import Spread, spread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POWER = 0.8


class Evidence(NamedTuple):
    """The pairs of a baseline and a method as independent ones would count, with the variance they come from."""

    spread: Spread
    pairs: Pairs
    reference: Reference

    def interval(self) -> Interval:
        """The 95 % interval of the difference in points."""
        low, high = self.pairs.interval(self.reference.critical)
        return Interval(100.0 * low, 100.0 * high)

    def p_value(self) -> float:
        """The two-sided score test of no difference: at most 5 % where the interval does not hold zero."""
        return min(1.0, 2.0 * self.reference.tail(abs(self.pairs.score(0.0))))

    def p_equivalent(self, margin: float) -> float:
        """Two one-sided score tests (Schuirmann 1987) of a difference of ``margin`` points or more, either way."""
        score, bound = self.pairs.score, margin / 100.0
        return max(self.reference.tail(score(-bound)), self.reference.tail(-score(bound)))

    def detectable(self) -> float:
        """The smallest difference in points that a two-sided test at 5 % finds with probability 0.8.

        (critical + z_0.8) * sqrt(discordant pairs) / n, the first-order form of Connor (Biometrics 43, 1987). A
        difference is never larger than the share of discordant pairs: it is (critical + z_0.8)^2 / n at least.
        """
        from scipy.special import ndtri

        needed = self.reference.critical + float(ndtri(POWER))
        return min(100.0, 100.0 * max(needed * (self.pairs.lost + self.pairs.won) ** 0.5, needed**2) / self.pairs.n)


def evidence(before_SI: NDArray[np.bool_], after_SI: NDArray[np.bool_], cluster_I: NDArray[np.int64]) -> Evidence:
    """From which answers are right, by seed and item, on both sides; ``cluster_I`` numbers the items' recordings."""
    n = cluster_I.size
    found = spread([after_SI.astype(float), before_SI.astype(float)], cluster_I)
    before_I, after_I = before_SI.mean(axis=0), after_SI.mean(axis=0)
    lost, won = float((before_I * (1.0 - after_I)).sum()), float(((1.0 - before_I) * after_I).sum())
    effect = design_effect(found, n, (won + lost - (won - lost) ** 2 / n) / n**2)
    return Evidence(found, Pairs(n / effect, lost / effect, won / effect), Reference.of(found))
