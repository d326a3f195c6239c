"""Intervals and paired tests for accuracies: how uncertain a number is, and whether a method beats its baseline.

docs/statistics.md has the formulas, their sources, and the simulated coverage of the intervals.
"""

from __future__ import annotations

from audio_eval.scoring.statistics.families import holm
from audio_eval.scoring.statistics.fates import FateBin, Fates, fates, fates_by_confidence
from audio_eval.scoring.statistics.intervals import accuracy_interval, mean_interval, seed_deviation, wilson_interval
from audio_eval.scoring.statistics.outcomes import Interval, Outcome
from audio_eval.scoring.statistics.paired import MARGIN, Comparison, compare
from audio_eval.scoring.statistics.ranks import Standing, standings
from audio_eval.scoring.statistics.reference import CONFIDENCE

__all__ = [
    "CONFIDENCE", "MARGIN", "Comparison", "FateBin", "Fates", "Interval", "Outcome", "Standing", "accuracy_interval",
    "compare", "fates", "fates_by_confidence", "holm", "mean_interval", "seed_deviation", "standings",
    "wilson_interval",
]  # fmt: skip
