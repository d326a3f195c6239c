"""Majority vote over the samples of a question: the winning option, its confidence, and the tally."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from audio_eval.group import Group
from audio_eval.rl.views import View, plain_view
from audio_eval.scoring import parse_choice
from audio_eval.seeding import stream


@dataclass(frozen=True)
class Vote:
    """``choice`` is the index of the winning option, None when no sample named one. ``tally``: votes by option index.

    ``agreement`` is the share of views whose own majority is ``choice``. Where options are scored instead of sampled
    (rl/likelihood.py), ``tally`` has their probabilities, and ``confidence`` is the winner's.
    """

    choice: int | None
    confidence: float  # votes for the winner over all samples, unparsable ones included
    tally: Mapping[int, float]
    unparsable: int
    agreement: float = 1.0

    @property
    def entropy(self) -> float:
        """Shannon entropy of the named options, in bits."""
        return entropy(self.tally)


class Tally(NamedTuple):
    """How many samples of an item named each option, by its original index, and how many there were."""

    id: str
    named: Counter[int]
    size: int


def majority_vote(group: Group, seed: int) -> Vote:
    """The option named most often wins (TTRL, arXiv 2504.16084; AQA-TTRL, arXiv 2510.05478).

    A tie is broken at random, keyed by (seed, question id), so it depends neither on the order of the samples nor on
    the position of the options. Samples that name no option lower the confidence. Where none names an option, there is
    no winner.
    """
    return pooled_vote([group], [plain_view(group.question)], seed)


def pooled_vote(groups: Sequence[Group], views: Sequence[View], seed: int) -> Vote:
    """A vote over several views of one item. Samples of all views are counted together, by the original options."""
    return counted_vote([tally(group, view) for group, view in zip(groups, views, strict=True)], seed)


def counted_vote(tallies: Sequence[Tally], seed: int) -> Vote:
    """``pooled_vote`` of what was counted in each view of an item."""
    pooled: Counter[int] = Counter()
    for one in tallies:
        pooled.update(one.named)
    size = sum(one.size for one in tallies)
    unparsable = size - pooled.total()
    if not pooled:
        return Vote(None, 0.0, {}, unparsable, 0.0)
    most = max(pooled.values())
    tied = sorted(choice for choice, n in pooled.items() if n == most)
    winner = tied[int(stream(seed, tallies[0].id, "tie").integers(len(tied)))]
    agreeing = sum(bool(one.named) and one.named[winner] == max(one.named.values()) for one in tallies)
    return Vote(winner, most / size, dict(sorted(pooled.items())), unparsable, agreeing / len(tallies))


def tally(group: Group, view: View) -> Tally:
    """Count which options the samples name."""
    counted: Counter[int] = Counter()
    for completion, count in zip(group.completions, group.counts, strict=True):
        choice = view.original(parse_choice(completion.text, group.question.choices))
        if choice is not None:
            counted[choice] += count
    return Tally(group.question.id, counted, group.size)


def entropy(counts: Mapping[int, float] | Mapping[str, float]) -> float:
    """Shannon entropy of a tally, in bits; 0 for an empty one."""
    total = sum(counts.values())
    return sum(n / total * math.log2(total / n) for n in counts.values() if n) if total else 0.0
