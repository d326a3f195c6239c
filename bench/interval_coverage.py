"""How often the 95 % intervals of the leaderboard hold the true value: simulated, for docs/statistics.md.

    python bench/interval_coverage.py            4000 trials a line, about 3 minutes
    python bench/interval_coverage.py --trials 500

The model of a trial. Each answer has a latent normal number, the sum of a part of its recording, one of its item and
one of its own (a new one for each seed); it is right where the number lies below the quantile of that seed's true
accuracy. So the expected accuracy, its deviation between seeds and the correlations are set exactly, and the true value
is known.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from tabulate import tabulate

from audio_eval.scoring.statistics.evidence import evidence
from audio_eval.scoring.statistics.intervals import share_interval

SEED = 20_261_128
# Shares of the latent variance: recording, item, and the rest, which is drawn anew for each seed.
ALIKE, UNLIKE = (0.75, 0.15), (0.0, 0.0)


class Case(NamedTuple):
    """A line of the table: true accuracies in percent (``before`` None: no baseline), seeds, and how items depend.

    ``deviation`` is that of the method's accuracy between seeds in points, ``before_deviation`` the baseline's.
    """

    part: str
    name: str
    accuracy: float
    before: float | None = None
    seeds: int = 1
    before_seeds: int = 1
    deviation: float = 0.0
    before_deviation: float = 0.0
    per_recording: int = 1
    shares: tuple[float, float] = ALIKE
    items: int = 600


class Found(NamedTuple):
    """Percent of the trials whose interval holds the true value, and the mean width of the intervals in points."""

    coverage: float
    width: float
    empty: int  # intervals of no width


def cases() -> Iterator[Case]:
    """All lines."""
    for seeds in (5, 2):
        for deviation in (0.0, 1.6, 3.0, 6.0):
            yield Case("accuracy", f"{seeds} seeds, SD {deviation}", 65, seeds=seeds, deviation=deviation)
    for deviation in (0.0, 3.0):
        yield Case("accuracy", f"5 seeds that agree by chance only, SD {deviation}", 65, seeds=5, deviation=deviation,
                   shares=UNLIKE)  # fmt: skip
    yield Case("accuracy", "1 seed", 65)
    yield Case("accuracy", "1 seed, 3 items a recording", 65, per_recording=3)
    for deviation in (0.0, 3.0):
        yield Case("accuracy", f"5 seeds, SD {deviation}, 3 items a recording", 65, seeds=5, deviation=deviation,
                   per_recording=3)  # fmt: skip
    for accuracy in (1.0, 99.0):
        yield Case("accuracy", f"1 seed, near {accuracy:g} %", accuracy)
        yield Case("accuracy", f"5 seeds, near {accuracy:g} %", accuracy, seeds=5)
    yield Case("accuracy", "1 seed, near 99 %, 3 items a recording", 99, per_recording=3)
    for seeds in (5, 2):
        for deviation in (0.0, 1.6, 3.0, 6.0):
            yield Case("difference", f"{seeds} seeds, SD {deviation}, against greedy", 70, 65, seeds, 1, deviation)
    for deviation in (0.0, 1.6, 6.0):
        yield Case("difference", f"5 seeds against 5, SD {deviation} each", 70, 65, 5, 5, deviation, deviation)
    yield Case("difference", "1 seed against greedy", 70, 65)
    yield Case("difference", "1 seed against greedy, 3 items a recording", 70, 65, per_recording=3)
    yield Case("difference", "5 seeds, SD 3.0, against greedy, 3 items a recording", 70, 65, 5, 1, 3.0, per_recording=3)
    for before, after in ((99.0, 99.5), (1.0, 0.5), (65.0, 65.5), (98.0, 98.0)):
        # Hardly any answer changes: the two sides share all but a twentieth of their latent variance.
        alike = (0.9, 0.05)
        yield Case("difference", f"1 seed, {before:g} to {after:g} %", after, before, shares=alike)
        yield Case("difference", f"5 seeds, {before:g} to {after:g} %", after, before, 5, shares=alike)
    yield Case("difference", "1 seed, 99 to 99.5 %, 3 items a recording", 99.5, 99, per_recording=3, shares=(0.3, 0.3))
    for seeds in (5, 1):
        yield Case("difference", f"{seeds} seeds, SD 3.0, 60 items" if seeds > 1 else "1 seed, 60 items", 70, 65, seeds,
                   deviation=3.0 if seeds > 1 else 0.0, items=60)  # fmt: skip


def simulate(case: Case, trials: int, seed: int) -> Found:
    """Draw, make the interval, compare with the true value."""
    rng = np.random.default_rng(seed)
    cluster_I = np.arange(case.items) // case.per_recording
    true = case.accuracy - (case.before or 0.0)
    held, widths, empty = 0, 0.0, 0
    for _ in range(trials):
        shared_I = _shared(rng, case, cluster_I)
        after_SI = _answers(rng, case, shared_I, case.accuracy, case.seeds, case.deviation)
        if case.before is None:
            low, high = share_interval(after_SI.astype(float), cluster_I)
        else:
            before_SI = _answers(rng, case, shared_I, case.before, case.before_seeds, case.before_deviation)
            low, high = evidence(before_SI, after_SI, cluster_I).interval()
        held += low <= true <= high
        widths += high - low
        empty += high - low < 1e-6
    return Found(100.0 * held / trials, widths / trials, empty)


def _shared(rng: np.random.Generator, case: Case, cluster_I: NDArray[np.int64]) -> NDArray[np.float64]:
    recording, item = case.shares
    of_recording_I = rng.standard_normal(cluster_I.max() + 1)[cluster_I]
    return np.sqrt(recording) * of_recording_I + np.sqrt(item) * rng.standard_normal(case.items)


def _answers(
    rng: np.random.Generator, case: Case, shared_I: NDArray[np.float64], accuracy: float, seeds: int, deviation: float
) -> NDArray[np.bool_]:
    """Which answers are right, by seed and item."""
    rest = np.sqrt(1.0 - sum(case.shares))
    of_seed_S = np.clip((accuracy + deviation * rng.standard_normal(seeds)) / 100.0, 0.0, 1.0)
    latent_SI = shared_I + rest * rng.standard_normal((seeds, case.items))
    return latent_SI < ndtri(of_seed_S)[:, None]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    args = parser.parse_args()
    began, lines = time.monotonic(), []
    for place, case in enumerate(cases()):
        if args.only in f"{case.part} {case.name}":
            found = simulate(case, args.trials, args.seed + place)
            lines.append([case.part, case.name, f"{found.coverage:.1f}", f"{found.width:.1f}"])
    print(tabulate(lines, ["figure", "case", "coverage %", "mean width"], "github", disable_numparse=True))
    error = 100.0 * (0.95 * 0.05 / args.trials) ** 0.5
    print(f"\n{args.trials} trials a line (standard error {error:.1f}), first seed {args.seed}, "
          f"{time.monotonic() - began:.0f} s.")  # fmt: skip


if __name__ == "__main__":
    main()
