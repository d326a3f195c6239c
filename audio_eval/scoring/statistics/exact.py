"""p-values of no difference between two runs: McNemar's exact test, and sign flips of whole recordings."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Random flips. With the observed assignment there are 10,000, so that the smallest p is 0.0001 a side.
FLIPS = 9_999
# Fixed, so that the same runs always give the same table.
RANDOM_SEED = 20_250_101


def mcnemar(lost: int, won: int) -> float:
    """Exact two-sided McNemar test: the discordant pairs are fair coin tosses under the null hypothesis."""
    from scipy.stats import binomtest

    return max(float(binomtest(lost, lost + won, 0.5).pvalue), sys.float_info.min) if lost + won else 1.0


def sign_flip(difference_G: NDArray[np.float64]) -> float:
    """Two-sided paired permutation test on the sum of the recordings' differences; exact where they are few."""
    import numpy as np
    from scipy.stats import permutation_test

    moved_G = difference_G[difference_G != 0]  # a zero stays zero under any flip
    if len(moved_G) < 2:
        return 1.0
    result = permutation_test(
        (moved_G,),
        lambda flipped, axis: flipped.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=FLIPS,
        batch=1_000,
        rng=np.random.default_rng(RANDOM_SEED),
    )
    return float(result.pvalue)
