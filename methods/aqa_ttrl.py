"""AQA-TTRL (arXiv 2510.05478): test-time reinforcement learning on the unlabelled test items.

The frozen model votes once, which fixes the labels. Then GRPO runs on the same items: the reward is agreement with the
label plus format, advantages are scaled by f(confidence of the vote), and groups without contrast are sampled again up
to three times. The number of steps is fixed before the run. With ``relabel`` the model votes again as it learns, which
is not in the paper.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from audio_eval.group import Group
from audio_eval.method import Cost, MethodConfig
from audio_eval.methods.test_time import TestTime
from audio_eval.models.policy import Sampling, TrainablePolicy
from audio_eval.questions import Question
from audio_eval.rl.advantages import CONFIDENCE_WEIGHTS, ConfidenceWeight
from audio_eval.rl.experience import Experience
from audio_eval.rl.labels import Labelling, Labels, Relabel, Relabelling, label_texts
from audio_eval.rl.rewards import accuracy_reward, format_reward
from audio_eval.rl.rollouts import Parts, Reward, roll_out
from audio_eval.rl.session import Session
from audio_eval.rl.settings import Rollouts


class Config(MethodConfig, Labelling, Rollouts):
    """Settings of aqa_ttrl. The defaults are the paper's (section 1.2), but with LoRA instead of full fine-tuning."""

    max_attempts: int = Field(3, ge=1, description="times a question's rollouts are sampled at most in a step")
    conf_weight: ConfidenceWeight = Field("exp", description="f in f(confidence) x advantage")
    accuracy_weight: float = Field(1.0, ge=0, description="weight of the reward for agreeing with the label")
    format_weight: float = Field(1.0, ge=0, description="weight of the format reward")
    relabel: Relabel = Field(
        "once", description="when labels are made: once, before training; in every step; every k steps"
    )
    relabel_k: int = Field(50, ge=1, description="with relabel=every_k: age in steps at which a label is renewed")


class AqaTtrl(TestTime):
    """Votes of the frozen model, then GRPO towards them."""

    name = "aqa_ttrl"
    summary = "test-time RL on the scored items: vote, confidence-weighted GRPO, multiple attempts"
    paper = "arXiv 2510.05478"
    Config = Config
    needs_choices = True
    config: Config
    renewed: Relabelling

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """Labels of all items once, or of the items of a batch whose label is due."""
        c = self.config
        asked = c.steps * c.batch_size
        again = {"once": 0, "every_step": asked, "every_k": min(asked, adapted * -(-c.steps // c.relabel_k))}
        labels = c.asked(adapted if c.relabel == "once" else again[c.relabel])
        in_steps = 0 if c.relabel == "once" else labels.pop("votes", 0)
        return Cost(
            steps=c.steps,
            rollouts=asked * c.group_size * c.max_attempts + in_steps,
            trained=asked * c.group_size,
            answers=scored,
            **labels,
        )

    def prepare(self, policy: TrainablePolicy, questions: Sequence[Question], run: Session) -> Sequence[Question]:
        """Vote and fix the labels, unless they are renewed in the steps."""
        c = self.config
        if c.relabel == "once":
            return self.label(policy, questions, c, run)
        self.renewed = Relabelling(policy, c, c.relabel_k if c.relabel == "every_k" else 1, run)
        return questions

    def labels_of(self, batch: Sequence[Question], step: int) -> Labels:
        """The labels of a step's batch."""
        return self.labels if self.config.relabel == "once" else self.renewed.at(step, batch)

    def learn(self, policy: TrainablePolicy, batch: Sequence[Question], step: int) -> Experience:
        """Sample groups and reward agreement with the labels."""
        c, labels = self.config, self.labels_of(batch, step)
        batch = [question for question in batch if question.id in labels]

        def parts(group: Group) -> Parts:
            label = labels[group.question.id].choice
            assert label is not None  # a label is an option
            return {"agreement": accuracy_reward(group, label), "format": format_reward(group)}

        reward = Reward(parts, {"agreement": c.accuracy_weight, "format": c.format_weight})
        confidence = {q.id: labels[q.id].confidence for q in batch}
        weights = {id_: CONFIDENCE_WEIGHTS[c.conf_weight](share) for id_, share in confidence.items()}
        sampling = Sampling(c.group_size, c.temperature, stream=f"step{step}", seed=self.seed)
        found = roll_out(policy, batch, sampling, c, reward, weights)
        found.metrics["vote_share"] = float(np.mean(list(confidence.values()) or [0.0]))
        found.labels = label_texts(batch, labels)
        return found
