"""Outcomes: what is known of each item in each run, as arrays of runs and items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from audio_eval.scoring.scores import Unread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RIGHT, WRONG_OPTION, UNPARSABLE = 0, 1, 2

Runs = Sequence[Sequence["Outcome"]]  # the seeds of one method


class Outcome(NamedTuple):
    """One item in one run: all that the statistics of a leaderboard need of it.

    ``parsed`` is False when no answer could be read from the response, and ``unread`` then says why, where that is
    known. ``recording`` is the digest of the item's recording: items that share one are no independent evidence.
    ``confidence`` is that of the vote that the method adapted to or answered with, 0 to 1; None where it has none.
    """

    id: str
    correct: bool
    parsed: bool
    recording: str | None = None
    unread: Unread | None = None
    confidence: float | None = None


class Interval(NamedTuple):
    """A two-sided 95 % interval, in percent of items or in points."""

    low: float
    high: float


def common_ids(runs: Runs) -> list[str]:
    """The ids that all runs hold, sorted. ValueError where there are none, or where a run holds an id twice."""
    sets = [{outcome.id for outcome in run} for run in runs]
    if any(len(ids) != len(run) for ids, run in zip(sets, runs, strict=True)):
        raise ValueError("a run holds the same item id twice")
    common = set.intersection(*sets) if sets else set()
    if not common:
        raise ValueError("the runs have no item in common")
    return sorted(common)


def states(runs: Runs, ids: Sequence[str]) -> NDArray[np.int64]:
    """Right, wrong option or unparsable for each run R and item I: (R, I).

    Runs that agree on every item, as the seeds of greedy decoding do, are one run: they are no evidence about seeds.
    """
    import numpy as np

    rows = []
    for run in runs:
        by_id = {outcome.id: outcome for outcome in run}
        rows.append([_state(by_id[item]) for item in ids])
    found_RI = np.array(rows, dtype=np.int64).reshape(len(runs), len(ids))
    return found_RI[:1] if (found_RI == found_RI[0]).all() else found_RI


def clusters(run: Sequence[Outcome], ids: Sequence[str]) -> NDArray[np.int64]:
    """The number of each item's cluster (I,): items of one recording share it, an item without one is on its own."""
    import numpy as np

    recordings = {outcome.id: outcome.recording for outcome in run}
    keys = [f"recording {recordings[item]}" if recordings[item] else f"item {item}" for item in ids]
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def _state(outcome: Outcome) -> int:
    if outcome.correct:
        return RIGHT
    return WRONG_OPTION if outcome.parsed else UNPARSABLE
