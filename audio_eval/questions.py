"""Question: what a method may see of an item. It has no answer field; the answers stay with the harness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from audio_eval.audio import AudioRef

if TYPE_CHECKING:
    from audio_eval.prompts import PromptTemplate


@dataclass(frozen=True)
class Question:
    """One item without its answer.

    ``prompt`` is the full user turn, ``choices`` the options in the order shown (empty: open-ended), ``groups`` the
    labels that accuracy is broken down by, such as {"task": "music", "difficulty": "easy"}. ``paraphrases`` are other
    wordings of ``question`` where the task has some; ``template`` is what made the prompt.
    """

    id: str
    audio: AudioRef | None
    question: str
    choices: tuple[str, ...]
    prompt: str
    groups: dict[str, str] = field(default_factory=dict, compare=False)
    paraphrases: tuple[str, ...] = field(default=(), compare=False)
    template: PromptTemplate | None = field(default=None, compare=False, repr=False)

    def worded(self, question: str, choices: Sequence[str]) -> Question:
        """The same item in other words, or with its options in another order, asked by the same template."""
        if self.template is None:
            raise ValueError(f"question '{self.id}' has no template: its prompt cannot be made anew.")
        prompt = self.template.render(question, choices)
        return replace(self, question=question, choices=tuple(choices), prompt=prompt)


@dataclass(frozen=True)
class Example:
    """A question of a *training* task with its gold answer: what ``needs_labels`` methods are given.

    ``rationale`` holds the segments of a written chain of thought by name, where the task has one.
    """

    question: Question
    answer: str
    rationale: dict[str, str] = field(default_factory=dict)
