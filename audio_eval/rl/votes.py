"""Majority vote over a group: the pseudo-label, its confidence, and what the vote looked like."""

from __future__ import annotations

import math
from dataclasses import dataclass

from audio_eval.rl.group import Group
from audio_eval.rl.streams import stream
from audio_eval.scoring import parse_choice


@dataclass(frozen=True)
class Vote:
    """``choice`` is the elected option's index, None when no sample named one. ``tally`` has the votes an option."""

    choice: int | None
    confidence: float  # votes for the elected option over all samples, unparsable ones included
    tally: dict[int, int]
    unparsable: int

    @property
    def entropy(self) -> float:
        """Shannon entropy of the named options, in bits."""
        total = sum(self.tally.values())
        return sum(n / total * math.log2(total / n) for n in self.tally.values()) if total else 0.0


def majority_vote(group: Group, seed: int) -> Vote:
    """Elect the option named most often (TTRL, arXiv 2504.16084; AQA-TTRL, arXiv 2510.05478).

    A tie is broken by lot, keyed by (seed, question id), so it depends neither on the order of the samples nor on the
    position of the options. Samples that name no option are not dropped: they lower the confidence. Where nobody named
    one, there is no label.
    """
    tally: dict[int, int] = {}
    for completion, count in zip(group.completions, group.counts, strict=True):
        choice = parse_choice(completion.text, group.question.choices)
        if choice is not None:
            tally[choice] = tally.get(choice, 0) + count
    unparsable = group.size - sum(tally.values())
    if not tally:
        return Vote(None, 0.0, {}, unparsable)
    most = max(tally.values())
    tied = sorted(choice for choice, n in tally.items() if n == most)
    elected = tied[int(stream(seed, group.question.id, "tie").integers(len(tied)))]
    return Vote(elected, most / group.size, dict(sorted(tally.items())), unparsable)
