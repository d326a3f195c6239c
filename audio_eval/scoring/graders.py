"""Graders: what scores open answers by a model: an LLM judge behind a server, an embedding model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from audio_eval.cache import cache_root
from audio_eval.errors import UserError

if TYPE_CHECKING:
    from audio_eval.scoring.judge import Judge
    from audio_eval.scoring.similarity import Similarity


@dataclass(frozen=True)
class Graders:
    """A judge and an embedding model, where the user has named them."""

    judge: Judge | None = None
    similarity: Similarity | None = None

    @classmethod
    def of(cls, judge: str | None, judge_model: str | None, similarity: str | None) -> Graders:
        """From the flags. ``UserError`` where one of --judge and --judge-model is missing, or a library is."""
        if (judge is None) != (judge_model is None):
            raise UserError("--judge URL and --judge-model NAME go together: a server, and which of its models judges.")
        server, embedding = None, None
        if judge and judge_model:
            from audio_eval.scoring.judge import Judge

            server = Judge(judge, judge_model, cache=cache_root() / "judge")
        if similarity:
            from audio_eval.scoring.similarity import Similarity

            embedding = Similarity(similarity)
        return cls(server, embedding)
