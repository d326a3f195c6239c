"""Supervised fine-tuning on the gold labels of a training task, or on majority-vote labels of the scored items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.policy import Policy
from audio_eval.questions import Question
from audio_eval.rl.experience import Experience
from audio_eval.rl.labels import Labelling, gold_labels, vote_labels
from audio_eval.rl.loop import batch_at, steps_of, train
from audio_eval.rl.session import Session
from audio_eval.rl.settings import SMALL_MODEL, Updates
from audio_eval.rl.teach import Lesson, teach


class Config(MethodConfig, Labelling, Updates):
    """Settings of sft. 3 epochs and 64 votes are the AQA-TTRL paper's baseline."""

    labels: Literal["pseudo", "likelihood", "gold"] = Field(  # type: ignore[assignment]
        "pseudo",
        description="labels to learn: votes or the likeliest options of the scored items, or --train-task's answers",
    )
    epochs: int = Field(3, ge=1, description="passes over the labelled items")
    batch_size: int = Field(8, ge=1, description="items per step")


class Sft(Method):
    """Maximises the likelihood of ``<answer>label</answer>``."""

    name = "sft"
    summary = "fine-tuning on majority votes of the scored items, or on --train-task's labels (labels=gold)"
    paper = "baseline of arXiv 2510.05478"
    Config = Config
    trains = True
    needs_choices = True
    presets: ClassVar = {"small": SMALL_MODEL}
    config: Config

    @property
    def needs_labels(self) -> bool:
        """Only with labels=gold."""
        return self.config.labels == "gold"

    @property
    def transductive(self) -> bool:
        """Pseudo-labels are those of the scored items."""
        return self.config.labels != "gold"

    @property
    def needs_logprobs(self) -> bool:
        """Only with labels=likelihood."""
        return self.config.labels == "likelihood"

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """What pseudo-labels take; then every labelled item once per epoch."""
        c = self.config
        items = labelled if c.labels == "gold" else adapted
        return Cost(
            steps=steps_of(c.epochs, items, c.batch_size),
            trained=c.epochs * items,
            answers=scored,
            **({} if c.labels == "gold" else c.asked(adapted)),
        )

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Label the items, then train for the epochs."""
        c = self.config
        if c.labels == "gold":
            questions, labels = [example.question for example in run.examples], gold_labels(run.examples)
        else:
            votes = vote_labels(policy, questions, c, run)
            labels = {id_: vote.choice for id_, vote in votes.items() if vote.choice is not None}
        lessons = [Lesson(q, f"<answer>{q.choices[labels[q.id]]}</answer>") for q in questions if q.id in labels]

        def experience(step: int) -> Experience:
            return teach(policy, batch_at(lessons, c.batch_size, step, run.seed))

        train(policy, c, steps_of(c.epochs, len(lessons), c.batch_size), experience, run)
