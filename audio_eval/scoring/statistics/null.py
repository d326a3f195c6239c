"""p-values of no difference: McNemar's exact test, else sign flips of whole recordings with the seeds' own error."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from audio_eval.scoring.statistics.variance import Part

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Random flips. With the observed assignment there are 10,000, so that the smallest p is 0.0001 a side.
FLIPS = 9_999
# Fixed, so that the same runs always give the same table.
RANDOM_SEED = 20_250_101


def mcnemar(lost: int, won: int) -> float:
    """Exact two-sided McNemar test: the discordant pairs are fair coin tosses under the null hypothesis."""
    from scipy.stats import binomtest

    return max(float(binomtest(lost, lost + won, 0.5).pvalue), sys.float_info.min) if lost + won else 1.0


def sign_flip(difference_G: NDArray[np.int64], noise: Sequence[Part]) -> float:
    """Two-sided paired permutation test on the sum of the clusters' differences; exact where they are few.

    The flips stand for the choice of items alone. ``noise`` are the variances that the seeds add to the sum; each
    flip gets a draw of them, t-distributed as an estimate from a few seeds is.
    """
    from scipy.stats import permutation_test

    moved_G = difference_G[difference_G != 0]  # a zero stays zero under any flip
    if len(moved_G) < 2:
        return 1.0
    rng = np.random.default_rng(RANDOM_SEED)
    result = permutation_test(
        (moved_G,),
        lambda flipped, axis: flipped.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=FLIPS,
        batch=1_000,
        rng=rng,
    )
    if not noise:
        return float(result.pvalue)
    null = rng.choice(result.null_distribution, FLIPS)
    for part in noise:
        null = null + np.sqrt(part.variance) * rng.standard_t(part.df, FLIPS)
    return float((1 + (np.abs(null) >= abs(moved_G.sum())).sum()) / (1 + FLIPS))
