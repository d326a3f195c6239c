"""How far the confidence of votes can be relied on: the share of them that are right, by how sure they were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from audio_eval.runlog import Sample
from audio_eval.scoring import normalise, score
from audio_eval.scoring.options import prepare
from audio_eval.scoring.statistics import wilson_interval

BINS = 5


def reliability(samples: Iterable[Sample], confidences: Mapping[str, float]) -> list[dict[str, Any]]:
    """Bins of equal width from confidence 0 to 1, each with its votes and the percent of them that are right.

    A vote is the label that the method adapted to, else the answer that was voted for. ``low`` and ``high`` are the
    95 % interval of ``right`` (Wilson's). Votes without a known answer are left out; empty where none is left.
    """
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for sample in samples:
        sure, right = confidences.get(sample.question.id), _right(sample)
        if sure is not None and right is not None:
            bins[min(int(sure * BINS), BINS - 1)].append((sure, right))
    if not any(bins):
        return []
    return [_bin(place, votes) for place, votes in enumerate(bins)]


def _bin(place: int, votes: list[tuple[float, bool]]) -> dict[str, Any]:
    n, right = len(votes), sum(right for _, right in votes)
    interval = wilson_interval(right, n)
    return {
        "from": place / BINS, "to": (place + 1) / BINS, "n": n,
        "confidence": 100.0 * sum(sure for sure, _ in votes) / n if n else None,
        "right": 100.0 * right / n if n else None, "low": interval.low, "high": interval.high,
    }  # fmt: skip


def _right(sample: Sample) -> bool | None:
    """Whether the vote on an item is right; None where its answer is not known."""
    if not sample.gold or sample.score is None:
        return None
    if sample.label is None:
        return sample.score.outcome == "correct"
    if not sample.question.choices:
        return score("contains_em", sample.label.label or "", (), sample.gold).outcome == "correct"
    gold_at = prepare(sample.question.choices).first.get(normalise(sample.gold))
    return sample.label.choice is not None and sample.label.choice == gold_at
