"""Sampling: the N samples of a question are drawn together from one prefill.

Samples with the same prefix share one row, so the cost is that of the unique ones. Each sample has uniform random
numbers of its own, so the result are N independent samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch

from audio_eval.group import Completion, Group
from audio_eval.models.hf.checkpoint import Checkpoint
from audio_eval.models.hf.draws import draw
from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from audio_eval.seeding import stream

Counted = list[tuple[Completion, int]]


class Rows(Protocol):
    """Rows (R) that grow by a token at a time: ``Branches``, ``StaticBranches``, ``Repeats``."""

    hidden_RH: torch.Tensor  # the last hidden states

    def advance(self, parents: Sequence[int], tokens: Sequence[int]) -> None:
        """Make new rows: each is row ``parents[i]``, rising, with ``tokens[i]`` appended. Other rows are dropped."""
        ...


@torch.no_grad()
def sample(
    checkpoint: Checkpoint, end_ids: frozenset[int], questions: Sequence[Question], branches: Rows, sampling: Sampling
) -> list[Group]:
    """Draw ``sampling.n`` completions of each question (Q), of which ``branches`` has a row each, as one Group each.

    Random numbers are keyed by (sampling.seed, question id, sampling.stream), so the rest of the batch does not matter.
    """
    head, limit = checkpoint.head, sampling.max_tokens
    vocabulary = head.weight.shape[0]
    assert limit is not None, "the policy has filled in its own limit"
    drawn, copies = (1, sampling.n) if sampling.temperature == 0 else (sampling.n, 1)  # greedy samples are all alike
    endings = Endings(checkpoint.tokenizer, end_ids, sampling.stop)
    streams = [stream(sampling.seed or 0, question.id, sampling.stream) for question in questions]
    done: list[Counted] = [[] for _ in questions]
    # a sample (S): whose it is, which of the question's, and the row it stands in, rising
    owner_S, number_S = np.arange(len(questions)).repeat(drawn), np.tile(np.arange(drawn), len(questions))
    row_S, rows = owner_S, [()] * len(questions)
    for left in range(limit, 0, -1):
        point_S = np.stack([s.random(drawn) for s in streams])[owner_S, number_S]
        token_S = draw(head, branches.hidden_RH, row_S, point_S, sampling)
        grown, first, row_S, counts = np.unique(
            row_S * vocabulary + token_S, return_index=True, return_inverse=True, return_counts=True
        )
        parents, tokens = (part.tolist() for part in np.divmod(grown, vocabulary))
        rows = [(*rows[parent], token) for parent, token in zip(parents, tokens, strict=True)]
        ended = [endings.completion(row, cut=left == 1) for row in rows]
        for completion, owner, count in zip(ended, owner_S[first].tolist(), counts.tolist(), strict=True):
            if completion is not None:
                done[owner].append((completion, count * copies))
        live = np.array([completion is None for completion in ended])
        if not live.any():
            break
        staying = np.argsort(row_S, kind="stable")
        staying = staying[live[row_S[staying]]]
        owner_S, number_S, row_S = owner_S[staying], number_S[staying], (live.cumsum() - 1)[row_S[staying]]
        index = np.flatnonzero(live).tolist()
        rows = [rows[i] for i in index]
        branches.advance([parents[i] for i in index], [tokens[i] for i in index])
    return [grouped(question, counted, sampling) for question, counted in zip(questions, done, strict=True)]


def end_ids(generation_config: Any, tokenizer: Any) -> frozenset[int]:
    """Every id that ends an answer: the generation config's, and the tokenizer's own."""
    listed = generation_config.eos_token_id
    ids = listed if isinstance(listed, list) else [listed]
    return frozenset(i for i in [*ids, tokenizer.eos_token_id] if i is not None)


class Endings:
    """Tells whether a row of tokens has ended, and what its text is."""

    def __init__(self, tokenizer: Any, end_ids: frozenset[int], stop: tuple[str, ...]) -> None:
        self._tokenizer, self._end_ids, self._stop = tokenizer, end_ids, stop
        # a token writes a byte or more: so many of the last ones hold any stop string whole, and a torn character
        self._tail = max((len(s.encode()) for s in stop), default=0) + 4

    def completion(self, row: tuple[int, ...], cut: bool) -> Completion | None:
        """The completion if ``row`` ends here: by an end token, by a stop string, or because it is ``cut``."""
        if row[-1] in self._end_ids:
            return Completion(self._text(row[:-1]).strip(), row, True)
        if self._stop and any(s in self._text(row[-self._tail :]) for s in self._stop):
            text = self._text(row)
            found = [i for i in map(text.find, self._stop) if i >= 0]
            if found:
                return Completion(text[: min(found)].strip(), row, True)
        return Completion(self._text(row).strip(), row, False) if cut else None

    def _text(self, tokens: tuple[int, ...]) -> str:
        return self._tokenizer.decode(tokens, skip_special_tokens=True)


def grouped(question: Question, counted: Counted, sampling: Sampling) -> Group:
    """One Group of completions with their counts, the most frequent first."""
    ordered = sorted(counted, key=lambda pair: (-pair[1], pair[0].token_ids))
    completions, counts = tuple(c for c, _ in ordered), tuple(n for _, n in ordered)
    return Group(question, completions, counts, temperature=sampling.temperature or 1.0)
