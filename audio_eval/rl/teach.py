"""Experience from given completions: supervised fine-tuning, and the warm-up of methods that reinforce afterwards.

Each target is a group of one completion with advantage 1: its policy gradient is the gradient of its log-likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from audio_eval.models.policy import Policy, trainable
from audio_eval.questions import Example, Question
from audio_eval.rl.experience import Experience
from audio_eval.rl.structure import SECTIONS, Format, written


class Lesson(NamedTuple):
    """A question and the completion to learn."""

    question: Question
    target: str


def teach(policy: Policy, lessons: Sequence[Lesson]) -> Experience:
    """The experience of a step that learns these lessons. It logs the mean length of the targets in tokens."""
    learner = trainable(policy)
    groups = [learner.encode(question, target) for question, target in lessons]
    tokens = [len(completion.token_ids) for group in groups for completion in group.completions]
    metrics = {"target_tokens": float(np.mean(tokens))}
    return Experience(groups, [np.ones(1) for _ in groups], metrics, given=True)


def chains(examples: Sequence[Example], format: Format) -> list[Lesson]:
    """The written chains of thought as completions of ``format``. Examples that lack a segment are left out.

    ``sections`` takes the four sections of a rationale by name; ``think_answer`` takes all segments, one per line.
    """
    lessons = []
    for example in examples:
        segments = {name: text for name, text in example.rationale.items() if text.strip()}
        parts = {"think": "\n".join(segments.values())} if format == "think_answer" else segments
        if example.answer and segments and (format == "think_answer" or set(SECTIONS) <= set(parts)):
            lessons.append(Lesson(example.question, written(parts, example.answer, format)))
    return lessons
