"""TTRL (arXiv 2504.16084): vote, then train on part of the same samples, in every step.

Each question of a step is sampled 64 times with the current policy. The majority is its label, and GRPO trains on 32 of
these samples. A question for which no sample names an option has no label and is skipped. The preset ``g_mv`` is the
baseline of that name in the AQA-TTRL paper: labels fixed by the frozen model, and groups sampled separately.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from audio_eval.group import Group
from audio_eval.method import Cost, MethodConfig
from audio_eval.methods.test_time import TestTime
from audio_eval.models.policy import MIN_TEMPERATURE, Sampling, TrainablePolicy
from audio_eval.questions import Question
from audio_eval.rl.experience import Experience
from audio_eval.rl.labels import Labels, Voting, label_texts
from audio_eval.rl.rewards import accuracy_reward, format_reward
from audio_eval.rl.rollouts import Parts, Reward, reinforce
from audio_eval.rl.session import Session
from audio_eval.rl.settings import SMALL_MODEL_STEPS, Steps
from audio_eval.rl.votes import majority_vote
from audio_eval.seeding import stream


class Config(MethodConfig, Steps):
    """Settings of ttrl. The defaults are those of its scripts for AMC, but with LoRA instead of full fine-tuning, at
    temperature 1 and without a KL penalty (there 0.001, verl's default weight).
    """

    full_lr: ClassVar[float] = 5e-7
    votes: int = Field(64, ge=1, description="samples per question that vote on its label (M)")
    temperature: float = Field(1.0, ge=MIN_TEMPERATURE, description="sampling temperature")
    group_size: int = Field(32, ge=2, description="samples per question that are trained on")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "cosine", description="learning rate over the steps: constant, or falling to zero (linear, cosine)"
    )
    warmup: float = Field(0.03, ge=0, lt=1, description="share of the steps in which the learning rate rises from zero")
    mini_batch: int | None = Field(
        1, ge=1, description="questions per optimizer update; none: one update with all questions of a step"
    )
    relabel: Literal["every_step", "once"] = Field(
        "every_step", description="when the model votes on labels: in every step, or once before training"
    )
    format_weight: float = Field(0.0, ge=0, description="weight of the format reward; TTRL has none")


class Ttrl(TestTime):
    """Votes in every step, and trains on part of the votes."""

    name = "ttrl"
    summary = "test-time RL on the scored items: vote in every step, train on half of the votes"
    paper = "arXiv 2504.16084"
    Config = Config
    needs_choices = True
    presets: ClassVar = {
        "small": {**SMALL_MODEL_STEPS, "mini_batch": None},
        # lr is left to the kind of tuning: 1e-5 for adapters, as aqa_ttrl has; the paper's 1e-6 belongs to tune=full
        "g_mv": {
            "relabel": "once", "group_size": 4, "schedule": "constant", "warmup": 0.0, "mini_batch": None,
            "format_weight": 1.0,
        },
    }  # fmt: skip
    config: Config

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """The votes are the rollouts, unless the labels are fixed."""
        c = self.config
        asked = c.steps * c.batch_size
        if c.relabel == "once":
            rollouts = asked * c.group_size
            return Cost(adapted * c.votes, c.steps, rollouts, rollouts, scored)
        return Cost(0, c.steps, asked * c.votes, asked * min(c.group_size, c.votes), scored)

    def prepare(self, policy: TrainablePolicy, questions: Sequence[Question], run: Session) -> Sequence[Question]:
        """Vote, where the labels are fixed before training."""
        c = self.config
        if c.relabel == "every_step":
            return questions
        return self.label(policy, questions, Voting(votes=c.votes, temperature=c.temperature), run)

    def learn(self, policy: TrainablePolicy, batch: Sequence[Question], step: int) -> Experience:
        """Vote and train on part of the votes, or sample groups for the fixed labels."""
        c = self.config
        n = c.group_size if c.relabel == "once" else c.votes
        rollouts = policy.generate(batch, Sampling(n, c.temperature, stream=f"step{step}", seed=self.seed))
        if c.relabel == "once":
            found = reinforce(rollouts, self._reward(self.labels).of(rollouts))
            found.labels = label_texts(batch, self.labels)
            return found
        votes = {group.question.id: majority_vote(group, self.seed) for group in rollouts}
        rollouts = [group for group in rollouts if votes[group.question.id].choice is not None]
        reward = self._reward(votes)
        parts = [g.part(c.group_size, stream(self.seed, g.question.id, "part", step)) for g in rollouts]
        found = reinforce(parts, reward.of(parts))
        found.metrics["skipped_all_unparsable"] = len(batch) - len(rollouts)
        found.rollouts, found.correctness = rollouts, reward.of(rollouts).parts["agreement"]
        found.labels = label_texts([group.question for group in rollouts], votes)
        return found

    def _reward(self, votes: Labels) -> Reward:
        def parts(group: Group) -> Parts:
            label = votes[group.question.id].choice
            assert label is not None  # the others are left out
            return {"agreement": accuracy_reward(group, label), "format": format_reward(group)}

        return Reward(parts, {"agreement": 1.0, "format": self.config.format_weight})
