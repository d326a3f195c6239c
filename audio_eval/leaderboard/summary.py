"""The ``audio_eval`` block of result.json, as a leaderboard reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

_FINITE = {"allow_inf_nan": False}


@dataclass(frozen=True)
class Official:
    """The benchmark's own rule, accuracy in percent of its own ``n``."""

    __pydantic_config__: ClassVar[dict[str, bool]] = _FINITE

    rule: str
    accuracy: float
    n: int


@dataclass(frozen=True)
class GroupScore:
    """Accuracy in percent of the items that carry one group label; None where the answers are hidden."""

    __pydantic_config__: ClassVar[dict[str, bool]] = _FINITE

    accuracy: float | None
    n: int
    official: Official | None = None


@dataclass(frozen=True)
class Metric:
    """A further figure of open answers, 0..100, mean over the n items that have it; None where it is not known."""

    __pydantic_config__: ClassVar[dict[str, bool]] = _FINITE

    value: float | None
    n: int


@dataclass(frozen=True)
class Summary:
    """The ``audio_eval`` block of result.json: percents are 0..100, ``wall_s`` seconds."""

    __pydantic_config__: ClassVar[dict[str, bool]] = _FINITE

    model: str
    method: str
    task: str
    seed: int
    accuracy: float | None
    n: int
    unparsable: float
    samples: int | None
    wall_s: float | None
    unparsable_n: int = 0
    official: Official | None = None
    groups: dict[str, dict[str, GroupScore]] = field(default_factory=dict)
    audio: str | None = None
    tags: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)  # of the method, those that are not its usual ones
    trained_on: str | None = None
    prompt: str | None = None
    scorer: str | None = None
    data_revision: str | None = None
    model_revision: str | None = None
    adapter_sha256: str | None = None
    audio_revision: str | None = None
    metrics: dict[str, Metric] = field(default_factory=dict)
    judge: dict[str, Any] | None = None
    similarity: dict[str, str] | None = None
    note: str | None = None

    @property
    def graders(self) -> str | None:
        """Who graded open answers: the judge and its prompt, the embedding model; None if nobody did."""
        parts = []
        if self.judge:
            parts.append(f"judge {self.judge['judge']}, {self.judge['prompt']}")
        if self.similarity:
            parts.append(f"similarity {self.similarity['model']}@{self.similarity['revision']}")
        return "; ".join(parts) or None


@lru_cache(maxsize=1)
def summary_reader() -> Any:
    """Pydantic's validator of a Summary."""
    from pydantic import TypeAdapter  # only here: importing the leaderboard stays light

    return TypeAdapter(Summary)
