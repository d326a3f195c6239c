"""LogprobEngine: scores completions with the current weights in micro-batches, with or without gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.models.hf.gradient import Scored, certainty_rows, score_rows
from audio_eval.models.hf.inputs import EmbeddedPrompt, QuestionEncoder
from audio_eval.models.hf.layout import SharedPrefix
from audio_eval.models.hf.microbatch import Budget, Piece, micro_batches
from audio_eval.models.hf.room import BUDGET
from audio_eval.models.policy import Training
from audio_eval.questions import Question

T = TypeVar("T")


@dataclass
class Batch:
    """What is scored: questions with their prompts' lengths in tokens and the temperatures of their groups, and unique
    completions (U) of them.

    For each completion ``owners`` has the index of its question, ``places`` its group and its index in the group.
    ``heard`` has, by the index of the group, the seconds of audio that its prompt holds and whether it was cut to them.
    """

    questions: list[Question] = field(default_factory=list)
    prompts: list[int] = field(default_factory=list)
    temperatures: list[float] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    tokens: list[tuple[int, ...]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # question id -> why it has no prompt
    heard: dict[int, tuple[float, bool]] = field(default_factory=dict)


class LogprobEngine:
    """Of ``training`` it uses ``token_budget``, ``logits_chunk``, ``checkpointing`` and ``entropy_coef``."""

    def __init__(
        self, encoder: QuestionEncoder, training: Training, precision: Callable[[], AbstractContextManager[Any]]
    ) -> None:
        self.encoder, self.training, self.precision = encoder, training, precision
        self.checkpoint = encoder.checkpoint
        self.budget = Budget(training.token_budget or BUDGET)

    def batch(self, groups: Sequence[Group], chosen: Sequence[Sequence[int]]) -> Batch:
        """The ``chosen`` completions (indices) of each group. A group without chosen ones costs nothing."""
        batch = Batch()
        pairs = list(zip(groups, chosen, strict=True))
        kept = [[u for u in of_group if group.completions[u].token_ids] for group, of_group in pairs]
        asked = [g for g in range(len(groups)) if kept[g]]
        with torch.no_grad(), self.precision():
            prompts = self.encoder.prompts([groups[g].question for g in asked]) if asked else []
        for g, prompt in zip(asked, prompts, strict=True):
            question = groups[g].question
            if isinstance(prompt, str):  # its recording cannot be read: it is left out and named
                batch.failed[question.id] = prompt
                continue
            batch.owners += [len(batch.questions)] * len(kept[g])
            batch.places += [(g, u) for u in kept[g]]
            batch.tokens += [groups[g].completions[u].token_ids for u in kept[g]]
            batch.questions.append(question)
            batch.prompts.append(len(prompt.embeds))
            if prompt.clips:
                batch.heard[g] = prompt.seconds, prompt.truncated
            batch.temperatures.append(groups[g].temperature)
        return batch

    def logprobs(self, batch: Batch) -> list[torch.Tensor]:
        """Token log-probabilities (T,) of every completion, without gradient."""
        return [logprobs for logprobs, _ in self.scores(batch)]

    def scores(self, batch: Batch) -> list[tuple[torch.Tensor, bool]]:
        """As ``logprobs``, with whether each token of the completion is the most probable one at its place."""

        def score(pieces: list[Piece]) -> list[tuple[torch.Tensor, bool]]:
            scored, rows = self.forward(batch, pieces), []
            for row, u in enumerate(u for piece in pieces for u in piece.completions):
                length = len(batch.tokens[u])
                rows.append((scored.logprobs_UT[row, :length], bool(scored.greedy_UT[row, :length].all())))
            return rows

        return self._each(batch, score)

    def self_certainty(self, batch: Batch) -> list[float]:
        """``head.self_certainty`` averaged over each completion's tokens, without gradient."""

        def score(pieces: list[Piece]) -> list[torch.Tensor]:
            with self.precision():
                return list(certainty_rows(self.checkpoint, self._rows(batch, pieces), self.training.logits_chunk))

        return [float(value) for value in self._each(batch, score)]

    def forward(self, batch: Batch, pieces: list[Piece]) -> Scored:
        """Score a micro-batch, with gradient where gradients are enabled."""
        t = self.training
        with self.precision():
            rows = self._rows(batch, pieces)
            return score_rows(self.checkpoint, rows, t.logits_chunk, bool(t.checkpointing), t.entropy_coef > 0)

    def in_budget(self, batch: Batch, work: Callable[[list[list[Piece]]], T]) -> T:
        """Run ``work`` on the batch's micro-batches, and again on smaller ones where memory runs out."""
        lengths, shared = [len(tokens) for tokens in batch.tokens], self.checkpoint.family.engine == "shared"
        return self.budget.run(lambda budget: micro_batches(batch.prompts, batch.owners, lengths, budget, shared), work)

    def _rows(self, batch: Batch, pieces: list[Piece]) -> list[SharedPrefix]:
        """A micro-batch's prompts are embedded here, so that their graph, if they have one, is used once."""
        prompts = self.encoder.prompts([batch.questions[piece.question] for piece in pieces])
        rows = []
        for piece, prompt in zip(pieces, prompts, strict=True):
            if not isinstance(prompt, EmbeddedPrompt):
                raise UserError(f"a recording became unreadable while it was scored: {prompt}")
            completions = [batch.tokens[u] for u in piece.completions]
            rows.append(SharedPrefix(prompt.embeds, completions, batch.temperatures[piece.question], prompt.ids))
        return rows

    def _each(self, batch: Batch, score: Callable[[list[Piece]], list[T]]) -> list[T]:
        """The results of ``score`` for all completions, in the order of the batch."""

        def work(micro: list[list[Piece]]) -> list[T]:
            found: dict[int, T] = {}
            for pieces in micro:
                found |= zip((u for piece in pieces for u in piece.completions), score(pieces), strict=True)
            return [found[u] for u in range(len(batch.tokens))]

        with torch.no_grad():
            return self.in_budget(batch, work)
