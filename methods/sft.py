"""Supervised fine-tuning: on the gold labels of a training task, or on majority-vote labels of the scored items.

The loop and the loss are GRPO's: the target is a group of one given completion with advantage 1, whose policy gradient
is the gradient of its log-likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.policy import Policy, TrainablePolicy, Training
from audio_eval.questions import Question
from audio_eval.rl.labels import Voting, elect_labels, gold_labels
from audio_eval.rl.loop import Experience, batch_at, train
from audio_eval.rl.session import Session


class Config(MethodConfig, Voting, Training):
    """Settings of sft; 3 epochs and 64 votes are the AQA-TTRL paper's baseline."""

    labels: Literal["pseudo", "gold"] = Field(
        "pseudo", description="votes on the scored items, or --train-task's answers"
    )
    epochs: int = Field(3, ge=1, description="walks through the labelled items")
    batch_size: int = Field(8, ge=1, description="items a step")


class Sft(Method):
    """Likelihood of ``<answer>label</answer>``."""

    name = "sft"
    summary = "fine-tuning on majority votes of the scored items, or on --train-task's labels (labels=gold)"
    paper = "baseline of arXiv 2510.05478"
    Config = Config
    trains = True
    needs_choices = True
    config: Config

    @property
    def needs_labels(self) -> bool:
        """Gold labels are asked for by name."""
        return self.config.labels == "gold"

    @property
    def transductive(self) -> bool:
        """Pseudo-labels are those of the scored items."""
        return self.config.labels == "pseudo"

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """Votes for pseudo-labels; then every labelled item once an epoch."""
        c = self.config
        items = labelled if c.labels == "gold" else adapted
        return Cost(
            votes=0 if c.labels == "gold" else adapted * c.votes,
            steps=math.ceil(c.epochs * items / c.batch_size),
            trained=c.epochs * items,
            answers=scored,
        )

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Label, then train for the epochs."""
        c = self.config
        if c.labels == "gold":
            pool = [example.question for example in run.examples]
            labels = gold_labels(run.examples)
        else:
            pool = list(questions)
            votes = elect_labels(policy, questions, c, run)
            labels = {id_: vote.choice for id_, vote in votes.items() if vote.choice is not None}
        pool = [question for question in pool if question.id in labels]

        def experience(step: int) -> Experience:
            assert isinstance(policy, TrainablePolicy)  # train() has seen to it
            batch = batch_at(pool, c.batch_size, step, run.seed)
            targets = [f"<answer>{q.choices[labels[q.id]]}</answer>" for q in batch]
            groups = [policy.encode(q, target) for q, target in zip(batch, targets, strict=True)]
            return Experience(groups, [np.ones(1) for _ in groups])

        train(policy, c, math.ceil(c.epochs * len(pool) / c.batch_size), experience, run)
