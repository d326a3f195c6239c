"""Micro-batches by token budget, and smaller ones where the device runs out of memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from audio_eval.models.hf.batches import cut_batches
from audio_eval.models.hf.layout import row_length

T = TypeVar("T")


@dataclass(frozen=True)
class Piece:
    """Completions (indices) of one question (index) that share a row of ``length`` tokens."""

    question: int
    completions: tuple[int, ...]
    length: int


def micro_batches(
    prompts_Q: Sequence[int], owners_U: Sequence[int], lengths_U: Sequence[int], budget: int, shared: bool = True
) -> list[list[Piece]]:
    """Micro-batches of at most ``budget`` tokens with padding, longest rows first.

    ``prompts_Q`` are the lengths of the prompts, ``owners_U`` and ``lengths_U`` the question and the length of each
    completion. A question stays in one piece unless it is longer than the budget by itself, or prompts are not
    ``shared``: each completion then has a row of its own. A single completion is never split.
    """
    owned: list[list[int]] = [[] for _ in prompts_Q]
    for u, owner in enumerate(owners_U):
        owned[owner].append(u)
    pieces: list[Piece] = []
    for question, prompt in enumerate(prompts_Q):
        held: list[int] = []
        for u in owned[question]:
            if held and (not shared or _piece(question, [*held, u], prompt, lengths_U).length > budget):
                pieces.append(_piece(question, held, prompt, lengths_U))
                held = []
            held.append(u)
        if held:
            pieces.append(_piece(question, held, prompt, lengths_U))
    cut = cut_batches([piece.length for piece in pieces], budget, most=len(pieces))
    return [[pieces[i] for i in batch] for batch in cut]


def _piece(question: int, held: Sequence[int], prompt: int, lengths_U: Sequence[int]) -> Piece:
    return Piece(question, tuple(held), row_length(prompt, [lengths_U[i] for i in held]))


def padded_tokens(batch: Sequence[Piece]) -> int:
    """Tokens of a micro-batch after padding."""
    return len(batch) * max(piece.length for piece in batch)


class Budget:
    """The token budget, halved for the rest of the run each time the device runs out of memory."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.retries = 0

    def run(self, cut: Callable[[int], list[list[Piece]]], work: Callable[[list[list[Piece]]], T]) -> T:
        """Run ``work`` on the micro-batches that ``cut`` makes for the budget; out of memory, again with half of it.

        ``work`` must start from nothing on each call: a backward pass that failed has already added to some gradients.
        The longest micro-batch comes first, so a failure seldom wastes much work. The error is raised once every
        micro-batch is a single completion.
        """
        while True:
            batches = cut(self.tokens)
            try:
                return work(batches)
            except torch.cuda.OutOfMemoryError:
                if all(len(batch) == 1 and len(batch[0].completions) == 1 for batch in batches):
                    raise
            # outside of the except block the error no longer holds the failed graph
            self.tokens = max(1, min(self.tokens, max(padded_tokens(batch) for batch in batches)) // 2)
            self.retries += 1
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
