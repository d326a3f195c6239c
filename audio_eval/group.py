"""Group: the N sampled completions of one question, stored as unique completions with counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from audio_eval.errors import UserError
from audio_eval.questions import Question
from audio_eval.usage import Usage


@dataclass(frozen=True)
class Completion:
    """One unique completion.

    ``tokens`` are its token ids, with the end token unless the completion was cut (``finished`` is False then). They
    are None where a policy returns text only, such as one behind a server; ``logprobs`` (T,) where it gives them, with
    ``greedy``, whether each token is the most probable one at its place; it is not written down.
    """

    text: str
    tokens: tuple[int, ...] | None = None
    finished: bool = True
    logprobs: tuple[float, ...] | None = None
    greedy: bool | None = field(default=None, compare=False)

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The tokens; ``UserError`` where only the text is known."""
        if self.tokens is None:
            raise UserError("this model returns text without tokens: its completions cannot be scored or trained on.")
        return self.tokens


@dataclass(frozen=True)
class Group:
    """The U unique completions of a question, and how often each was drawn.

    Votes, rewards, advantages and the loss work on (completion, count) pairs. ``error`` says why a question failed
    (for example, its recording cannot be read); such a group is empty. ``audio_seconds`` is how much audio the model
    was given, ``truncated`` whether that is only the beginning of the recording. ``temperature`` is the one that the
    completions were drawn at, so that training scores them by the distribution they came from; it is 1 for given
    completions, and for greedy ones, which no distribution was drawn from. ``usage`` is what a server says that the
    answers took.
    """

    question: Question
    completions: tuple[Completion, ...]
    counts: tuple[int, ...]
    error: str | None = None
    truncated: bool = False
    audio_seconds: float = 0.0
    temperature: float = 1.0
    usage: Usage | None = None

    @property
    def size(self) -> int:
        """N, the number of samples."""
        return sum(self.counts)

    def best(self) -> str:
        """The most frequent text, the first of them on a tie; empty when there is none."""
        if not self.completions:
            return ""
        return self.completions[max(range(len(self.counts)), key=self.counts.__getitem__)].text

    def joined(self, other: Group) -> Group:
        """The group, and those completions of ``other`` that it does not have yet.

        Completions are compared by their tokens, or by their texts where tokens are not known.
        """
        by_text = any(c.tokens is None for c in (*self.completions, *other.completions))
        own = {c.text if by_text else c.tokens for c in self.completions}
        return self._with(
            [*self._pairs(), *(p for p in other._pairs() if (p[0].text if by_text else p[0].tokens) not in own)]
        )

    def part(self, size: int, rng: np.random.Generator, distinct: bool = False) -> Group:
        """``size`` of the samples, drawn at random without replacement.

        ``distinct``: take different completions first, in the order in which they are met (OP-TTRAV's
        TTRL_DEDUP_SAMPLES).
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
        return self._with([(c, n) for c, n in zip(self.completions, counts, strict=True) if n])

    def to_json(self) -> dict[str, object]:
        """A JSON record. The question is stored by its id."""
        record: dict[str, object] = {
            "id": self.question.id,
            "completions": [
                [c.text, c.tokens, c.finished, n, *([] if c.logprobs is None else [c.logprobs])]
                for c, n in self._pairs()
            ],
            "error": self.error,
        }
        if self.truncated:
            record["truncated"] = True
        if self.audio_seconds:
            record["audio_seconds"] = self.audio_seconds
        if self.temperature != 1:
            record["temperature"] = self.temperature
        if self.usage is not None:
            record["usage"] = self.usage.model_dump(exclude_defaults=True)
        return record

    @staticmethod
    def from_json(record: dict, question: Question) -> Group:
        """The inverse of ``to_json``."""
        rows = record["completions"]
        return Group(
            question,
            tuple(
                Completion(text, _tuple(tokens), finished, _tuple(more[0]) if more else None)
                for text, tokens, finished, _, *more in rows
            ),
            tuple(row[3] for row in rows),
            record["error"],
            record.get("truncated", False),
            record.get("audio_seconds", 0.0),
            record.get("temperature", 1.0),
            Usage(**record["usage"]) if "usage" in record else None,
        )

    def _pairs(self) -> list[tuple[Completion, int]]:
        return list(zip(self.completions, self.counts, strict=True))

    def _with(self, pairs: Sequence[tuple[Completion, int]]) -> Group:
        return replace(self, completions=tuple(c for c, _ in pairs), counts=tuple(n for _, n in pairs))


def _tuple(values: Sequence | None) -> tuple | None:
    return None if values is None else tuple(values)
