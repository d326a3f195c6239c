"""The curves of an adaptation: what a run logged of its steps, sorted into charts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from audio_eval.report.sample import FATES
from audio_eval.runlog import RunLog
from audio_eval.terminal import plain

POINTS = 400  # of a curve; more steps than that are averaged, as no screen shows them


class Chart(NamedTuple):
    """A chart of these series. ``oracle``: they were computed from the answers, after the adaptation."""

    title: str
    told: str
    names: tuple[str, ...]
    oracle: bool = False


CHARTS = (
    Chart("Reward", "mean over the samples of a step", ("reward",)),
    Chart(
        "Agreement",
        "majority_ratio: share of a question's samples that give its most frequent answer; vote_share: share of the "
        "votes for the label that is learned",
        ("majority_ratio", "vote_share"),
    ),
    Chart(
        "Against the answers",
        "what the step's questions look like beside their answers. label_accuracy: the label is right; "
        "ground_truth_ratio: share of samples that are right; pass: any sample is right; reward_accuracy: the reward "
        "says rightly whether a sample is right",
        ("label_accuracy", "ground_truth_ratio", "pass", "reward_accuracy"),
        oracle=True,
    ),
    Chart(
        "Accuracy where scored",
        "percent of the scored items, with --curve-every; nothing learns from it. unparsable: without a readable "
        "answer",
        ("curve/accuracy", "curve/unparsable"),
        oracle=True,
    ),
    Chart("Entropy", "of the tokens, in nats", ("entropy",)),
    Chart("Entropy of the votes", "of a question's answers, in bits", ("vote_entropy",)),
    Chart("Length", "tokens per completion", ("length",)),
    Chart("Skipped groups", "groups of a step whose samples all have the same reward", ("skipped_groups", "stuck")),
    Chart("Unreadable and cut samples", "unparsable: share of samples; truncated: completions", ("unparsable",)),
)  # fmt: skip
_SAME_AS_ANOTHER = {"no_contrast"}  # skipped_groups as a share


def charts(log: RunLog) -> list[dict[str, Any]]:
    """The charts of a run as JSON; each series has its points as [step, value]. Empty where nothing was trained.

    ``other``: metrics that have no place in ``CHARTS``, such as the parts of a method's reward.
    """
    steps = [record.model_dump() for record in log.steps.read()]
    oracle = [record.model_dump() for record in log.oracle.read()]
    curve = [
        {"step": p.step, "curve/accuracy": p.accuracy, "curve/unparsable": p.unparsable} for p in log.curve.read()
    ]  # fmt: skip
    series = {**_series(steps), **_series(curve)}
    answers = {**_series(curve), **_series(oracle)}
    found = [_chart(chart, answers if chart.oracle else series) for chart in CHARTS]
    known = {name for chart in CHARTS for name in chart.names} | _SAME_AS_ANOTHER
    for told_after, metrics in ((False, series), (True, answers)):
        others = [name for name in metrics if name not in known]
        found += [{**_chart(Chart(name, "", (name,), told_after), metrics), "other": True} for name in others]
    return [chart for chart in found if chart["series"]]


def fates_over_steps(log: RunLog) -> dict[str, Any] | None:
    """How many items were fixed, broken and kept at each point of the curve, beside the model before the first step.

    None without ``--curve-every``, and for runs from before this was recorded.
    """
    points = [point for point in log.curve.read() if point.outcomes]
    if len(points) < 2 or points[0].step != 0:
        return None
    before = points[0].outcomes
    # The first two together are the items that are right, as they are drawn on each other.
    counts: dict[str, list[int]] = {fate: [] for fate in ("kept right", "fixed", "broken", "kept wrong")}
    for point in points:
        pairs = [(a, b) for a, b in zip(before, point.outcomes, strict=False) if "x" not in (a, b)]
        for (was, is_now), fate in FATES.items():
            counts[fate].append(sum((a == "r") == was and (b == "r") == is_now for a, b in pairs))
    return {"steps": [point.step for point in points], "counts": counts}


def _chart(chart: Chart, series: Mapping[str, list[tuple[int, float]]]) -> dict[str, Any]:
    return {
        "title": plain(chart.title),
        "told": chart.told,
        "oracle": chart.oracle,
        "other": False,
        "series": [{"name": plain(n), "points": _thinned(series[n])} for n in chart.names if n in series],
    }


def _series(records: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """Each metric with its steps; values that are no numbers, or not finite, are left out."""
    found: dict[str, list[tuple[int, float]]] = {}
    for record in records:
        for name, value in record.items():
            if name != "step" and isinstance(value, (int, float)) and math.isfinite(value):
                found.setdefault(name, []).append((record["step"], float(value)))
    return found


def _thinned(points: Sequence[tuple[int, float]]) -> list[list[float]]:
    """At most ``POINTS`` points: the means of equal runs of steps, each at its last step."""
    size = -(-len(points) // POINTS) or 1
    parts = [points[i : i + size] for i in range(0, len(points), size)]
    return [[part[-1][0], float(f"{sum(v for _, v in part) / len(part):.6g}")] for part in parts]
