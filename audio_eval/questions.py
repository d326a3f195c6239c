"""Question: the part of an item that a method may see. It has no answer; the harness keeps the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from audio_eval.audio import AudioRef

# Of a prompt's text in UTF-8, as a tokenizer may make a token of each. Attention takes the square of it: 20 000 took
# the smallest model 22 s and 1.5 GB on a CPU. The longest question of the benchmarks here has a tenth of it.
MAX_BYTES = 12_000


class Template(Protocol):
    """Makes prompts; see audio_eval/prompts."""

    def render(self, question: str, choices: Sequence[str]) -> str:
        """The user turn of a question with these options."""
        ...

    def stated(self, choice: int, choices: Sequence[str]) -> str:
        """The response that names option ``choice`` of these in the way that the prompt asks for."""
        ...


@dataclass(frozen=True)
class Question:
    """One item without its answer.

    ``prompt`` is the full user turn. ``choices`` are the options in the order shown; an open question has none.
    ``groups`` are the categories for breakdowns of accuracy, such as {"task": "music", "difficulty": "easy"}.
    ``paraphrases`` are other wordings of ``question``, if the task has any. ``template`` made the prompt.
    ``more_audio`` are the recordings after the first one, where the question is about several.
    ``tokens``, if given, are the whole input as token ids, without a chat template, for ``ReadsTokens`` policies.
    """

    id: str
    audio: AudioRef | None
    question: str
    choices: tuple[str, ...]
    prompt: str
    groups: dict[str, str] = field(default_factory=dict, compare=False)
    paraphrases: tuple[str, ...] = field(default=(), compare=False)
    template: Template | None = field(default=None, compare=False, repr=False)
    more_audio: tuple[AudioRef, ...] = ()
    tokens: tuple[int, ...] | None = None

    @property
    def audios(self) -> tuple[AudioRef, ...]:
        """All recordings, in the order in which they are heard; most questions have one."""
        return () if self.audio is None else (self.audio, *self.more_audio)

    def hearing(self, audios: Sequence[AudioRef]) -> Question:
        """The same question about these recordings."""
        return replace(self, audio=audios[0] if audios else None, more_audio=tuple(audios[1:]))

    def worded(self, question: str, choices: Sequence[str]) -> Question:
        """The same item in other words or with its options in another order, with a prompt from the same template."""
        if self.template is None:
            raise ValueError(f"question '{self.id}' has no template: its prompt cannot be rendered again.")
        prompt = self.template.render(question, choices)
        return replace(self, question=question, choices=tuple(choices), prompt=prompt)

    def stated(self, choice: int) -> str:
        """The response that names option ``choice`` as the prompt asks for it; without a template, in answer tags."""
        if self.template is None:
            return f"<answer>{self.choices[choice]}</answer>"
        return self.template.stated(choice, self.choices)


@dataclass(frozen=True)
class Example:
    """A question of a *training* task with its gold answer, for methods with ``needs_labels``.

    ``rationale`` has the segments of a written chain of thought by name, if the task has one.
    """

    question: Question
    answer: str
    rationale: dict[str, str] = field(default_factory=dict)


def too_long(question: Question) -> str | None:
    """Why no model is asked this, whatever runs it; None where its prompt is of a length that it may have."""
    length = len(question.prompt.encode("utf-8", "surrogatepass"))
    if length <= MAX_BYTES or question.tokens is not None:
        return None
    return f"its prompt has {length} bytes, more than {MAX_BYTES}: shorten the question or its options."
