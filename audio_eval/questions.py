"""Question: what a method may see of an item. It has no answer field; the answers stay with the harness."""

from __future__ import annotations

from dataclasses import dataclass, field

from audio_eval.audio import AudioRef


@dataclass(frozen=True)
class Question:
    """One item without its answer.

    ``prompt`` is the full user turn, ``choices`` the options in the order shown (empty: open-ended), ``groups`` the
    labels that accuracy is broken down by, such as {"task": "music", "difficulty": "easy"}.
    """

    id: str
    audio: AudioRef | None
    question: str
    choices: tuple[str, ...]
    prompt: str
    groups: dict[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Example:
    """A question of a *training* task with its gold answer: what ``needs_labels`` methods are given."""

    question: Question
    answer: str
