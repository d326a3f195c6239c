"""The smallest difference that a comparison could have shown, from how often the two sides disagree."""

from __future__ import annotations

from audio_eval.scoring.statistics.reference import Reference
from audio_eval.scoring.statistics.score_test import Pairs

POWER = 0.8


def smallest_detectable(pairs: Pairs, reference: Reference) -> float:
    """The smallest difference (a share) that a two-sided test at 5 % finds with probability 0.8.

    (critical + z_0.8) * sqrt(discordant pairs) / n, the first-order form of Connor (Biometrics 43, 1987). A difference
    is never larger than the share of discordant pairs, which bounds it from below by (critical + z_0.8)^2 / n.
    """
    from scipy.stats import norm

    needed = reference.critical + float(norm.ppf(POWER))
    return min(1.0, max(needed * (pairs.lost + pairs.won) ** 0.5, needed**2) / pairs.n)
