"""GRPO with the labels of a training task (R1-AQA, arXiv 2503.11197): accuracy + format reward, KL to the base."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from audio_eval.method import Method, MethodConfig
from audio_eval.models.policy import Policy, Sampling, Training
from audio_eval.questions import Question
from audio_eval.rl.advantages import group_advantages
from audio_eval.rl.group import Group
from audio_eval.rl.labels import gold_labels
from audio_eval.rl.loop import Experience, batch_at, train
from audio_eval.rl.rewards import accuracy_reward, format_reward, mean_reward
from audio_eval.runs.session import Session


class Config(MethodConfig, Training):
    """Settings of grpo; the defaults are R1-AQA's, with adapters for full fine-tuning."""

    steps: int = Field(1000, ge=0, description="updates; the last one is what is scored")
    batch_size: int = Field(16, ge=1, description="questions a step")
    group_size: int = Field(8, ge=2, description="rollouts a question (G)")
    temperature: float = Field(1.0, gt=0, description="of the rollouts")
    beta: float = Field(0.04, ge=0, description="weight of the KL to the unadapted model")
    accuracy_weight: float = Field(1.0, ge=0, description="weight of the accuracy reward")
    format_weight: float = Field(1.0, ge=0, description="weight of the format reward")


class Grpo(Method):
    """Reinforcement learning on a labelled training task; the scored items are not touched."""

    name = "grpo"
    summary = "GRPO on a labelled training task (--train-task)"
    paper = "R1-AQA, arXiv 2503.11197; GRPO, arXiv 2402.03300"
    Config = Config
    trains = True
    needs_choices = True
    config: Config

    @property
    def needs_labels(self) -> bool:
        """The answers of a training task."""
        return True

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Train on ``run.examples``."""
        c, gold = self.config, gold_labels(run.examples)
        pool = [example.question for example in run.examples if example.question.id in gold]

        def reward(group: Group) -> np.ndarray:
            right = accuracy_reward(group, gold[group.question.id])
            return c.accuracy_weight * right + c.format_weight * format_reward(group)

        def experience(step: int) -> Experience:
            batch = batch_at(pool, c.batch_size, step, run.seed)
            groups = policy.generate(batch, Sampling(n=c.group_size, temperature=c.temperature, stream=f"step{step}"))
            rewards = [reward(group) for group in groups]
            advantages = [group_advantages(r, np.array(g.counts)) for g, r in zip(groups, rewards, strict=True)]
            return Experience(groups, advantages, {"reward": mean_reward(groups, rewards)})

        train(policy, c, c.steps, experience, run)
