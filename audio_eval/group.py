"""Group: the N sampled completions of one question, kept as a multiset of unique completions with counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audio_eval.questions import Question


@dataclass(frozen=True)
class Completion:
    """One unique completion. ``tokens`` holds the end token where it ended by itself, not where it was cut."""

    text: str
    tokens: tuple[int, ...]
    finished: bool = True


@dataclass(frozen=True)
class Group:
    """Completions (U) of a question and how often each was drawn.

    Votes, rewards, advantages and the loss work on (completion, count). ``error`` says why a question could not be
    asked (its audio is unreadable, say); such a group is empty.
    """

    question: Question
    completions: tuple[Completion, ...]
    counts: tuple[int, ...]
    error: str | None = None

    @property
    def size(self) -> int:
        """N, the number of samples drawn."""
        return sum(self.counts)

    def best(self) -> str:
        """The text drawn most often, the first of them on a tie; empty when there is none."""
        if not self.completions:
            return ""
        return self.completions[max(range(len(self.counts)), key=self.counts.__getitem__)].text

    def joined(self, other: Group) -> Group:
        """With the completions of another group that are not here yet."""
        new = [(c, n) for c, n in other._pairs() if c.tokens not in {own.tokens for own in self.completions}]
        more, counts = tuple(c for c, _ in new), tuple(n for _, n in new)
        return Group(self.question, self.completions + more, self.counts + counts)

    def part(self, size: int, rng: np.random.Generator, distinct: bool = False) -> Group:
        """``size`` of the samples, drawn without replacement: as good as the first ones, which have no order here.

        ``distinct``: different completions first, each in the place where it was met (OP-TTRAV's TTRL_DEDUP_SAMPLES).
        """
        if size >= self.size:
            return self
        order = rng.permutation(np.repeat(np.arange(len(self.counts)), self.counts))
        if distinct:
            _, first = np.unique(order, return_index=True)
            rest = np.ones(len(order), bool)
            rest[first] = False
            order = np.concatenate([order[np.sort(first)], order[rest]])
        counts = np.bincount(order[:size], minlength=len(self.counts)).tolist()
        kept = [(c, n) for c, n in zip(self.completions, counts, strict=True) if n]
        return Group(self.question, tuple(c for c, _ in kept), tuple(n for _, n in kept))

    def to_json(self) -> dict[str, object]:
        """A JSON record; the question is kept by id."""
        return {
            "id": self.question.id,
            "completions": [[c.text, list(c.tokens), c.finished, n] for c, n in self._pairs()],
            "error": self.error,
        }

    @staticmethod
    def from_json(record: dict, question: Question) -> Group:
        """The inverse of ``to_json``."""
        rows = record["completions"]
        completions = tuple(Completion(text, tuple(tokens), finished) for text, tokens, finished, _ in rows)
        return Group(question, completions, tuple(row[3] for row in rows), record["error"])

    def _pairs(self) -> Sequence[tuple[Completion, int]]:
        return list(zip(self.completions, self.counts, strict=True))
