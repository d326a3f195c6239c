"""AQA-TTRL (arXiv 2510.05478): test-time reinforcement learning on the unlabelled test items.

The frozen model votes once and fixes the labels. Then GRPO on the same items: reward = agreement with the label +
format, advantages scaled by f(confidence of the vote), groups without contrast drawn again up to three times. The step
that is scored is fixed before the run. ``relabel`` votes again as the model learns, which the paper does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from audio_eval.group import Group
from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.policy import Policy
from audio_eval.questions import Question
from audio_eval.rl.advantages import CONFIDENCE_WEIGHTS, ConfidenceWeight
from audio_eval.rl.labels import Labels, Relabel, Relabelling, Voting, elect_labels, label_texts
from audio_eval.rl.loop import Experience, batch_at, train
from audio_eval.rl.rewards import accuracy_reward, format_reward
from audio_eval.rl.rollouts import Parts, Reward, Rollouts, roll_out
from audio_eval.rl.session import Session


class Config(MethodConfig, Voting, Rollouts):
    """Settings of aqa_ttrl; the defaults are the paper's (section 1.2 there), with adapters for full fine-tuning."""

    max_attempts: int = Field(3, ge=1, description="groups drawn at most for a question in a step")
    conf_weight: ConfidenceWeight = Field("exp", description="f in f(confidence) x advantage")
    accuracy_weight: float = Field(1.0, ge=0, description="weight of the agreement reward")
    format_weight: float = Field(1.0, ge=0, description="weight of the format reward")
    relabel: Relabel = Field("once", description="when labels are voted for: once by the frozen model, or again")
    relabel_k: int = Field(50, ge=1, description="with relabel=every_k: steps that a label lives")


class AqaTtrl(Method):
    """Votes of the frozen model, then GRPO towards them."""

    name = "aqa_ttrl"
    summary = "test-time RL on the scored items: vote, confidence-weighted GRPO, multiple attempts"
    paper = "arXiv 2510.05478"
    Config = Config
    trains = True
    needs_choices = True
    config: Config

    @property
    def transductive(self) -> bool:
        """It adapts on the scored items, without their answers."""
        return True

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """Votes once, or those of every batch that are due."""
        c = self.config
        asked = c.steps * c.batch_size
        again = {"once": 0, "every_step": asked, "every_k": min(asked, adapted * -(-c.steps // c.relabel_k))}
        return Cost(
            votes=adapted * c.votes if c.relabel == "once" else 0,
            steps=c.steps,
            rollouts=asked * c.group_size * c.max_attempts + again[c.relabel] * c.votes,
            trained=asked * c.group_size,
            answers=scored,
        )

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Vote, fix the labels, train."""
        c = self.config
        if c.relabel == "once":
            fixed = elect_labels(policy, questions, c, run)
            pool = [question for question in questions if question.id in fixed]
            run.note("skipped_all_unparsable", len(questions) - len(pool))
        else:
            pool, renewed = list(questions), Relabelling(policy, c, c.relabel_k if c.relabel == "every_k" else 1, run)

        def experience(step: int) -> Experience:
            batch = batch_at(pool, c.batch_size, step, run.seed)
            labels = fixed if c.relabel == "once" else renewed.at(step, batch)
            return self.learn(policy, [q for q in batch if q.id in labels], labels, step)

        train(policy, c, c.steps, experience, run)

    def learn(self, policy: Policy, batch: Sequence[Question], labels: Labels, step: int) -> Experience:
        """Groups of the batch, rewarded for agreeing with their labels."""
        c = self.config

        def parts(group: Group) -> Parts:
            label = labels[group.question.id].choice
            assert label is not None  # those without are not in the batch
            return {"agreement": accuracy_reward(group, label), "format": format_reward(group)}

        reward = Reward(parts, {"agreement": c.accuracy_weight, "format": c.format_weight})
        confidence = {q.id: labels[q.id].confidence for q in batch}
        weights = {id_: CONFIDENCE_WEIGHTS[c.conf_weight](share) for id_, share in confidence.items()}
        found = roll_out(policy, batch, c, c.temperature, step, reward, weights)
        found.metrics["vote_share"] = float(np.mean(list(confidence.values()) or [0.0]))
        found.labels = label_texts(batch, labels)
        return found
