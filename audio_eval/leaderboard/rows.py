"""Runs -> rows: average the seeds, set each method beside ``direct``. All figures follow from outcomes of items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import groupby
from statistics import fmean
from typing import Any

from audio_eval.leaderboard.labels import labels
from audio_eval.leaderboard.ranking import ranked
from audio_eval.leaderboard.row import Row
from audio_eval.leaderboard.runs import Run, accuracy
from audio_eval.runlog import ResultRow
from audio_eval.scoring.figures import GroupScore, Metric, Official
from audio_eval.scoring.scores import Unread
from audio_eval.scoring.statistics import (
    MARGIN,
    Outcome,
    accuracy_interval,
    compare,
    fates,
    fates_by_confidence,
    holm,
    seed_deviation,
)


def aggregate(runs: Sequence[Run], margin: float = MARGIN) -> list[Row]:
    """Average the seeds of each method and compare with ``direct``; best row first within a task, hidden ones last.

    Differences within ``margin`` points count as none where equivalence is tested.

    Runs share a row when all but the seed is the same: model, method, task, prompt, scorer, data and model revision,
    tags, settings, and the set of items. A second run of a seed in the same row opens a further row instead of
    replacing it.
    """
    cells: dict[Hashable, list[dict[int, Run]]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.name, run.summary.seed)):
        repeats = cells[run.key]
        place = next((cell for cell in repeats if run.summary.seed not in cell), None)
        if place is None:
            repeats.append(place := {})
        place[run.summary.seed] = run
    groups = [[cell[seed] for seed in sorted(cell)] for repeats in cells.values() for cell in repeats]
    baselines: dict[Hashable, list[list[Run]]] = defaultdict(list)
    for group in groups:
        if group[0].baseline and group[0].outcomes:
            baselines[group[0].comparable].append(group)
    rows = _adjusted(sorted((_row(group, baselines[group[0].comparable], margin) for group in groups), key=_order))
    tables = [list(table) for _, table in groupby(rows, key=lambda row: row.task)]
    return [
        replace(row, label=label)
        for table in tables
        for row, label in zip(ranked(table), labels([row.facts for row in table]), strict=True)
    ]


def _adjusted(rows: Sequence[Row]) -> list[Row]:
    """The rows with ``p_holm``: a family is the rows that may be compared with each other."""
    families: dict[Hashable, list[float]] = defaultdict(list)
    for row in rows:
        if row.comparison is not None:
            families[row.runs[0].comparable].append(row.comparison.p_value)
    left = {key: holm(p_values)[::-1] for key, p_values in families.items()}  # the first row's last
    return [
        replace(row, p_holm=left[key].pop(), family=len(families[key]))
        if row.comparison is not None and (key := row.runs[0].comparable)
        else row
        for row in rows
    ]


def _row(runs: list[Run], baselines: list[list[Run]], margin: float) -> Row:
    summaries = [run.summary for run in runs]
    first = summaries[0]
    hidden = not runs[0].outcomes
    seeds = [run.outcomes for run in runs]
    outcomes = [outcome for seed in seeds for outcome in seed]
    readable = [outcome for outcome in outcomes if outcome.parsed]
    baseline = None if hidden or runs[0].baseline else _baseline(runs[0], baselines)
    main = next(iter(first.groups), "")
    groups = {
        label: _mean([s.groups.get(main, {}).get(label) for s in summaries]) for label in first.groups.get(main, {})
    }
    known = [accuracy for accuracy in groups.values() if accuracy is not None]
    officials = [s.official for s in summaries if s.official is not None]
    return Row(
        model=first.model,
        method=first.method,
        task=first.task,
        prompt=first.prompt,
        scorer=first.scorer,
        data_revision=first.data_revision,
        model_revision=first.model_revision,
        seeds=tuple(s.seed for s in summaries),
        n=first.n,
        accuracy=None if hidden else fmean(map(accuracy, seeds)),
        interval=None if hidden else accuracy_interval(seeds),
        groups=groups,
        macro=fmean(known) if known and len(known) == len(groups) else None,
        unparsable=fmean(s.unparsable for s in summaries),
        untagged=_unread(outcomes, "no tags"),
        not_an_option=_unread(outcomes, "not an option"),
        readable_accuracy=accuracy(readable) if readable else None,
        seed_deviation=None if hidden else seed_deviation(seeds),
        comparison=None if baseline is None else compare(baseline, seeds, margin),
        fates=None if baseline is None else fates(baseline, seeds),
        fates_by_confidence=() if baseline is None else fates_by_confidence(baseline, seeds),
        official=_mean(officials),
        official_n=(min(o.n for o in officials), max(o.n for o in officials)) if officials else None,
        official_rule=officials[0].rule if officials else None,
        metrics={name: _metric(name, summaries) for name in first.metrics},
        samples=_known_mean([s.samples for s in summaries]),
        wall_s=_known_mean([s.wall_s for s in summaries]),
        tags=runs[0].tags,
        settings=first.settings,
        runs=tuple(runs),
    )


def _baseline(run: Run, baselines: list[list[Run]]) -> list[tuple[Outcome, ...]] | None:
    """The seeds of the ``direct`` row that shares the most items, or None when none shares any."""
    items = {outcome.id for outcome in run.outcomes}
    shared = [len(items & {outcome.id for outcome in group[0].outcomes}) for group in baselines]
    return [run.outcomes for run in baselines[shared.index(max(shared))]] if any(shared) else None


def _mean(scores: Sequence[GroupScore | Official | None]) -> float | None:
    return _known_mean([score.accuracy for score in scores if score is not None])


def _known_mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _metric(name: str, summaries: Sequence[ResultRow]) -> Metric:
    found = [summary.metrics[name] for summary in summaries if name in summary.metrics]
    return Metric(value=_known_mean([metric.value for metric in found]), n=min(metric.n for metric in found))


def _unread(outcomes: Sequence[Outcome], reason: Unread) -> float | None:
    """Percent of the responses that could not be read for this reason; None where the reasons are not known."""
    reasons = [outcome.unread for outcome in outcomes if not outcome.parsed]
    return 100.0 * reasons.count(reason) / len(outcomes) if outcomes and None not in reasons else None


def _order(row: Row) -> tuple[Any, ...]:
    hidden, facts = row.accuracy is None, row.facts
    return row.task, hidden, -(row.accuracy or 0.0), row.model, row.method, repr(facts.origin), repr(facts), facts.order
