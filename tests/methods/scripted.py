"""Scripted policies for the tests of methods: four questions, their votes and their rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audio_eval.method import Method, Prediction
from audio_eval.models.policy import Sampling
from audio_eval.prompts import PromptTemplate
from audio_eval.questions import Question
from audio_eval.registry import method_class
from audio_eval.rl.session import Session
from audio_eval.store import JsonLines
from tests.rl.fake_policy import Drawn, FakePolicy, make_question, tagged

CHOICES = ("cat", "dog", "owl")
QUESTIONS = [make_question(id_, CHOICES) for id_ in ("sure", "split", "mute", "wordy")]
# 4 votes each: all for dog; 2 of 4 for owl; nothing named; 3 of 4 for cat, untagged
VOTES: dict[str, Drawn] = {
    "sure": {tagged("dog"): 4},
    "split": {tagged("owl"): 2, tagged("cat"): 1, "no idea": 1},
    "mute": {"no idea": 3, "what?": 1},
    "wordy": {"It is a cat.": 3, tagged("dog"): 1},
}
# right and tagged, right and bare, wrong and tagged, nothing
ROLLOUTS: dict[str, Drawn] = {
    "sure": {tagged("dog"): 1, "dog": 1, tagged("cat"): 1, "no idea": 1},
    "split": {tagged("owl"): 3, tagged("dog"): 1},
    "wordy": {tagged("cat"): 2, "cat": 2},
}


def script(question: Any, sampling: Sampling) -> Drawn:
    if sampling.temperature == 0:
        return {f"greedy {question.id}": 1}
    return VOTES[question.id] if sampling.stream == "vote" else ROLLOUTS[question.id]


def make(name: str, seed: int = 0, **settings: Any) -> Method:
    cls = method_class(name)
    return cls(cls.Config(**settings), seed)


def texts(predictions: Sequence[Prediction | str]) -> list[str]:
    return [prediction if isinstance(prediction, str) else prediction.text for prediction in predictions]


def adapt(method: Method, folder: Path, policy: FakePolicy, examples: Any = (), questions: Any = QUESTIONS) -> Session:
    session = Session(folder, method.seed, 3, examples)
    method.adapt(policy, questions, session)
    return session


def metrics(folder: Path) -> list[dict[str, float]]:
    return JsonLines(folder / "metrics.jsonl").read()


VIEWED = [
    replace(q, template=PromptTemplate("t", "{{ question }} {{ choices }}"), paraphrases=("What?",)) for q in QUESTIONS
]


class Watched(FakePolicy):
    """Keeps the questions as they were asked."""

    def __init__(self, script: Any) -> None:
        super().__init__(script)
        self.questions: list[tuple[Question, Sampling]] = []

    def generate(self, questions: Any, sampling: Sampling) -> Any:
        self.questions += [(question, sampling) for question in questions]
        return super().generate(questions, sampling)
