"""A policy without a model: a script says what it answers, and its calls are recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from audio_eval.group import Completion, Group
from audio_eval.models.policy import PolicyInfo, Sampling, Training, Update
from audio_eval.questions import Question

Drawn = Mapping[str, int]  # text -> count, in the order sampled
Script = Callable[[Question, Sampling], Drawn]


def make_question(id: str, choices: tuple[str, ...] = ("cat", "dog")) -> Question:
    return Question(id=id, audio=None, question="Which?", choices=choices, prompt=f"Which of {choices}?")


def make_group(question: Question, drawn: Drawn) -> Group:
    completions = tuple(Completion(text, tuple(text.encode())) for text in drawn)
    return Group(question, completions, tuple(drawn.values()))


def tagged(option: str) -> str:
    return f"<answer>{option}</answer>"


def option(text: str) -> str:
    """The option that a statement names: the inverse of ``tagged``; a text without tags is the option."""
    return text.removeprefix("<answer>").removesuffix("</answer>")


def by_length(group: Group) -> np.ndarray:
    """A self-certainty (U,) that falls with the length: 1 / (1 + tokens)."""
    return np.array([1 / (1 + len(completion.token_ids)) for completion in group.completions])


class FakeGenerator:
    """A Policy: it generates and cannot be trained."""

    trainable = False

    def __init__(self, script: Script) -> None:
        self.script, self.samples = script, 0
        self.asked: list[tuple[str, Sampling]] = []  # (question id, sampling), in the order of the calls

    @property
    def info(self) -> PolicyInfo:
        return PolicyInfo("fake", "0", "test", "cpu", self.trainable)

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        self.asked += [(question.id, sampling) for question in questions]
        groups = [make_group(question, self.script(question, sampling)) for question in questions]
        self.samples += sum(group.size for group in groups)
        return groups


Likelihood = Callable[[Question, str], Sequence[float]]  # the log-probabilities of a stated text's tokens


class FakeScorer(FakeGenerator):
    """A ScoresCompletions: ``likelihood`` says how probable a text is; ``scored`` has the questions that were asked."""

    def __init__(self, script: Script | None = None, likelihood: Likelihood = lambda question, text: [0.0]) -> None:
        super().__init__(script or (lambda question, sampling: {}))
        self.likelihood = likelihood
        self.scored: list[Question] = []

    def encode(self, question: Question, text: str) -> Group:
        return make_group(question, {text: 1})

    def logprobs(self, groups: Sequence[Group]) -> list[Group]:
        self.scored += [group.question for group in groups]
        return [
            replace(
                group,
                completions=tuple(
                    replace(c, logprobs=tuple(self.likelihood(group.question, c.text))) for c in group.completions
                ),
            )
            for group in groups
        ]


class FakePolicy(FakeScorer):
    """A TrainablePolicy: ``trained`` has what it was trained on, and its only weight is the number of updates."""

    trainable = True

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.training: Training | None = None
        self.trained: list[list[tuple[Group, np.ndarray]]] = []  # one list a step
        self.lr_scales: list[float] = []
        self.updates = 0
        self.certainty: Callable[[Group], np.ndarray] = by_length

    @property
    def trained_parameters(self) -> int:
        return 0 if self.training is None else 1

    def begin_training(self, training: Training, seed: int) -> None:
        self.training, self.training_seed = training, seed

    def train_step(self, groups: Sequence[Group], advantages: Sequence[np.ndarray], lr_scale: float = 1.0) -> Update:
        assert self.training is not None, "begin_training comes first"
        self.trained.append(list(zip(groups, advantages, strict=True)))
        self.updates += 1
        self.lr_scales.append(lr_scale)
        return Update({"loss": 0.5}, {})

    def self_certainty(self, groups: Sequence[Group]) -> list[np.ndarray]:
        return [self.certainty(group) for group in groups]

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "adapter.json").write_text(json.dumps(self.updates))

    def load(self, folder: Path) -> None:
        self.updates = json.loads((folder / "adapter.json").read_text())

    def reset(self) -> None:
        self.updates = 0
