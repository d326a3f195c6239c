"""Figures: what the scores of a run add up to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from audio_eval.scoring.scores import Score

Percent = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0)]


class Figure(BaseModel):
    """Numbers must be finite: a NaN in a result is a damaged file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Official(Figure):
    """The benchmark's own rule, with its accuracy in percent of its own ``n``: it may drop items."""

    rule: str
    accuracy: Percent
    n: Count


class GroupScore(Figure):
    """Accuracy in percent of the items that carry one group label; None where the answers are hidden."""

    accuracy: Percent | None
    n: Count
    official: Official | None = None


class Metric(Figure):
    """A further figure, 0 to 100, over the n items that have it; None where it is not known."""

    value: float | None
    n: Count


class Figures(Figure):
    """Percents are 0 to 100. ``accuracy`` is None where no item could be scored: hidden answers, or no judge.

    ``unparsable`` is the share of responses from which no answer could be read, ``unparsable_n`` their number.
    """

    accuracy: Percent | None
    n: Count
    unparsable: Percent
    unparsable_n: Count = 0
    official: Official | None = None
    groups: dict[str, dict[str, GroupScore]] = {}
    metrics: dict[str, Metric] = {}


def summarise(
    scores: Sequence[Score], metrics: Mapping[str, Metric], groups: Sequence[str] = (), rule: str | None = None
) -> Figures:
    """The figures of these scores, broken down by the ``groups`` labels; ``rule`` names the benchmark's own rule."""
    known = scored(scores)
    counted = known or scores
    silent = sum(not score.answered for score in counted)
    return Figures(
        accuracy=_accuracy([score.outcome for score in known]) if known else None,
        n=len(counted),
        unparsable=round(100.0 * silent / len(counted), 4) if counted else 0.0,
        unparsable_n=silent,
        official=_official(known, rule) if known else None,
        groups=_breakdown(known, groups, rule) if known else {},
        metrics=dict(metrics),
    )


def scored(scores: Sequence[Score]) -> list[Score]:
    """The scores that count.

    An item is excluded where its answer is hidden and where a judge's reply could not be read. A response that our
    rules cannot read is wrong.
    """
    return [score for score in scores if score.outcome != "excluded"]


def means(scores: Sequence[Score], measures: Mapping[str, float]) -> dict[str, Metric]:
    """The mean of each measure over the items that have it; ``measures`` maps names to what makes percent of them."""
    found = {}
    for name, factor in measures.items():
        values = [score.measures[name] for score in scores if name in score.measures]
        if values:
            found[name] = Metric(value=round(factor * sum(values) / len(values), 4), n=len(values))
    return found


def _breakdown(scores: Sequence[Score], groups: Sequence[str], rule: str | None) -> dict[str, dict[str, GroupScore]]:
    tables: dict[str, dict[str, GroupScore]] = {}
    for label in groups:
        members = defaultdict(list)
        for score in scores:
            members[score.groups.get(label, "?")].append(score)
        tables[label] = {
            name: GroupScore(
                accuracy=_accuracy([score.outcome for score in part]), n=len(part), official=_official(part, rule)
            )
            for name, part in sorted(members.items())
        }
    return tables


def _official(scores: Sequence[Score], rule: str | None) -> Official | None:
    if rule is None or all(score.official is None for score in scores):
        return None
    kept = [score.official for score in scores if score.official not in (None, "excluded")]
    return Official(rule=rule, accuracy=_accuracy(kept), n=len(kept))


def _accuracy(outcomes: Sequence[str | None]) -> float:
    return round(100.0 * outcomes.count("correct") / len(outcomes), 4) if outcomes else 0.0
