"""Usage: what a server says that its answers took, in tokens and money."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict


class Usage(BaseModel):
    """Sums over requests that were answered. ``audio_tokens`` are those of the prompt tokens that stand for sound.

    ``untold`` requests came back without token counts, so that with any of them the sums are lower bounds. ``cost`` is
    by the prices that the user gave, in their currency; None where none were given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    audio_tokens: int = 0
    untold: int = 0
    cost: float | None = None

    def __add__(self, other: Usage) -> Usage:
        """Both together."""
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Usage(
            requests=self.requests + other.requests,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            audio_tokens=self.audio_tokens + other.audio_tokens,
            untold=self.untold + other.untold,
            cost=sum(costs) if costs else None,
        )


def total(parts: Iterable[Usage | None]) -> Usage | None:
    """The sum of what is known; None where nothing is."""
    known = [part for part in parts if part is not None]
    return sum(known[1:], known[0]) if known else None
