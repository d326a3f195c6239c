"""Difference: what B does otherwise than A on the items of both, in all, in its two parts, and by group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

from audio_eval.compare.pair import Pair, Side
from audio_eval.scoring.statistics import Comparison, Interval, Outcome, accuracy_interval, compare, holm

State = Literal["right", "wrong", "unreadable"]
STATES: tuple[State, ...] = ("right", "wrong", "unreadable")
FEWEST = 2  # items a group: a label that nearly every item has for itself is none


class SideFigures(NamedTuple):
    """One run on the common items: numbers of items, and the 95 % interval of the accuracy in percent."""

    right: int
    readable: int
    n: int
    interval: Interval

    @property
    def accuracy(self) -> float:
        """Percent of all items."""
        return 100.0 * self.right / self.n

    @property
    def of_readable(self) -> float | None:
        """Percent of the items whose response could be read; None where none could."""
        return 100.0 * self.right / self.readable if self.readable else None


class GroupDifference(NamedTuple):
    """The items that carry one label: how many are right in A and in B, and B against A.

    ``p_holm`` is adjusted for the labels of the ``kind``.
    """

    kind: str
    name: str
    right: tuple[int, int]
    compared: Comparison
    p_holm: float


class Difference(NamedTuple):
    """B against A on the items of both.

    ``whole`` is the difference of their accuracies, and the sum of two parts: ``reading`` is what comes from items that
    one run answers right and the other unreadably, ``answers`` from those that the other answers readably but wrong.
    ``became[a][b]`` counts the items that are ``a`` in A and ``b`` in B; ``alike`` those in which both chose the same
    option.
    """

    sides: tuple[SideFigures, SideFigures]
    whole: Comparison
    reading: Comparison
    answers: Comparison
    became: dict[State, dict[State, int]]
    alike: int
    groups: tuple[GroupDifference, ...]

    @property
    def kinds(self) -> list[str]:
        """The kinds of groups, those that the benchmark is broken down by first."""
        return list(dict.fromkeys(group.kind for group in self.groups))


def difference(pair: Pair) -> Difference:
    """Set B against A, paired by item. Intervals and tests are those of a leaderboard (docs/statistics.md)."""
    before, after = ([side.outcomes[id_] for id_ in pair.ids] for side in (pair.a, pair.b))
    became = {a: dict.fromkeys(STATES, 0) for a in STATES}
    for one, other in zip(before, after, strict=True):
        became[state(one)][state(other)] += 1
    return Difference(
        sides=(_figures(before), _figures(after)),
        whole=compare([before], [after]),
        reading=part(before, after, "unreadable"),
        answers=part(before, after, "wrong"),
        became=became,
        alike=sum(
            _choice(pair.a, id_) is not None and _choice(pair.a, id_) == _choice(pair.b, id_) for id_ in pair.ids
        ),
        groups=tuple(_groups(pair, before, after)),
    )


def part(before: Sequence[Outcome], after: Sequence[Outcome], lacking: State) -> Comparison:
    """The part of the difference that is from items right on one side and ``lacking`` on the other.

    It is a mean over all items of +1, -1 and, for every other item, 0: a paired difference like the whole.
    """

    def only(mine: Sequence[Outcome], theirs: Sequence[Outcome]) -> list[Outcome]:
        return [
            one._replace(correct=one.correct and state(other) == lacking)
            for one, other in zip(mine, theirs, strict=True)
        ]

    return compare([only(before, after)], [only(after, before)])


def state(outcome: Outcome) -> State:
    """What became of an item."""
    return "right" if outcome.correct else "wrong" if outcome.parsed else "unreadable"


def _figures(outcomes: Sequence[Outcome]) -> SideFigures:
    right, readable = (sum(getattr(outcome, key) for outcome in outcomes) for key in ("correct", "parsed"))
    return SideFigures(right, readable, len(outcomes), accuracy_interval([outcomes]))


def _groups(pair: Pair, before: Sequence[Outcome], after: Sequence[Outcome]) -> list[GroupDifference]:
    found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for kind in pair.a.summary.groups:
        found[kind] = defaultdict(list)  # those that the benchmark itself reports come first
    for place, id_ in enumerate(pair.ids):
        for kind, name in pair.a.samples[id_].question.groups.items():
            found[kind][name].append(place)
    groups = []
    for kind, members in found.items():
        if not 1 < len(members) <= len(pair.ids) / FEWEST:
            continue
        parts = [
            (name, [before[place] for place in places], [after[place] for place in places])
            for name, places in sorted(members.items())
        ]
        compared = [compare([one], [other]) for _, one, other in parts]
        adjusted = holm([found.p_value for found in compared])
        groups += [
            GroupDifference(kind, name, (_right(one), _right(other)), found, p)
            for (name, one, other), found, p in zip(parts, compared, adjusted, strict=True)
        ]
    return groups


def _right(outcomes: Sequence[Outcome]) -> int:
    return sum(outcome.correct for outcome in outcomes)


def _choice(side: Side, id_: str) -> str | None:
    """The text of the option that was read: two runs may have shown the options in another order."""
    sample = side.samples[id_]
    place = sample.score.choice if sample.score else None
    return sample.question.choices[place] if place is not None and place < len(sample.question.choices) else None
