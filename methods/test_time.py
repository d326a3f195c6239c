"""The common part of test-time training: learn from the scored items, without their answers, step by step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from audio_eval.method import Method
from audio_eval.models.policy import Policy, TrainablePolicy, trainable
from audio_eval.questions import Question
from audio_eval.rl.experience import Experience
from audio_eval.rl.labels import Labelling, Labels, Voting, vote_labels
from audio_eval.rl.loop import batch_at, train
from audio_eval.rl.session import Session
from audio_eval.rl.settings import SMALL_MODEL_STEPS, Steps


class TestTime(Method, ABC):
    """Base class: a subclass says what happens before the first step, and how a step learns from its batch."""

    __test__ = False  # pytest takes a class of this name for tests
    trains = True
    presets: ClassVar = {"small": SMALL_MODEL_STEPS}
    config: Steps
    labels: Labels  # the votes of ``label``

    @property
    def transductive(self) -> bool:
        """It learns from the scored items, without their answers."""
        return True

    @property
    def needs_logprobs(self) -> bool:
        """With labels=likelihood, where it has that setting."""
        return isinstance(self.config, Labelling) and self.config.labels == "likelihood"

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Prepare, then learn from a batch in every step."""
        c, learner = self.config, trainable(policy)
        pool = self.prepare(learner, questions, run)

        def experience(step: int) -> Experience:
            return self.learn(learner, batch_at(pool, c.batch_size, step, run.seed), step)

        train(policy, c, c.steps, experience, run)

    def prepare(self, policy: TrainablePolicy, questions: Sequence[Question], run: Session) -> Sequence[Question]:
        """What is done before the first step, such as a vote. Returns the questions to learn from: by default all."""
        return questions

    @abstractmethod
    def learn(self, policy: TrainablePolicy, batch: Sequence[Question], step: int) -> Experience:
        """What a step learns from its batch. It depends on the step, the seed and the policy only."""

    def label(self, policy: Policy, questions: Sequence[Question], voting: Voting, run: Session) -> list[Question]:
        """Vote, keep the votes as ``labels``, and return the questions that have one; the others are counted."""
        self.labels = vote_labels(policy, questions, voting, run)
        pool = [question for question in questions if question.id in self.labels]
        run.note("skipped_all_unparsable", len(questions) - len(pool))
        return pool
