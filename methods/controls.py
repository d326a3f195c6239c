"""Controls of test-time RL: the same training loop with a reward that cannot teach the answer.

What they gain is not knowledge but format, sharpening or chance (Spurious Rewards, arXiv 2506.10947). Only a gain above
theirs is worth anything.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field

from audio_eval.group import Group
from audio_eval.method import Cost, MethodConfig
from audio_eval.methods.aqa_ttrl import AqaTtrl
from audio_eval.methods.aqa_ttrl import Config as AqaTtrlConfig
from audio_eval.methods.test_time import TestTime
from audio_eval.models.policy import MIN_TEMPERATURE, Sampling, TrainablePolicy
from audio_eval.questions import Question
from audio_eval.rl.controls import random_reward, wrong_choice
from audio_eval.rl.experience import Experience
from audio_eval.rl.labels import Labels
from audio_eval.rl.rewards import format_reward
from audio_eval.rl.rollouts import Parts, Reward, roll_out
from audio_eval.rl.settings import Rollouts


class Config(MethodConfig, Rollouts):
    """Settings of a control. Those that it shares with aqa_ttrl have the same defaults."""

    temperature: float = Field(1.0, ge=MIN_TEMPERATURE, description="sampling temperature of the rollouts")
    max_attempts: int = Field(3, ge=1, description="times a question's rollouts are sampled at most in a step")


class _Control(TestTime):
    """GRPO on the scored items with a reward that needs no label."""

    paper = "arXiv 2506.10947"
    Config = Config
    config: Config

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """No votes."""
        c = self.config
        rollouts = c.steps * c.batch_size * c.group_size
        return Cost(0, c.steps, rollouts * c.max_attempts, rollouts, scored)

    def learn(self, policy: TrainablePolicy, batch: Sequence[Question], step: int) -> Experience:
        """Sample groups and reward them."""
        c = self.config
        reward = Reward(lambda group: self.parts(group, step), {"control": 1.0})
        sampling = Sampling(c.group_size, c.temperature, stream=f"step{step}", seed=self.seed)
        return roll_out(policy, batch, sampling, c, reward)

    @abstractmethod
    def parts(self, group: Group, step: int) -> Parts:
        """The reward of a group."""


class RandomReward(_Control):
    """A coin flip for each rollout."""

    name = "random_reward"
    summary = "control: GRPO on the scored items, each rollout rewarded by a coin flip"

    def parts(self, group: Group, step: int) -> Parts:
        """Heads or tails."""
        return {"control": random_reward(group, self.seed, step)}


class FormatReward(_Control):
    """Only the format of an answer is rewarded."""

    name = "format_reward"
    summary = "control: GRPO on the scored items, rewarded for the answer tags alone"

    def parts(self, group: Group, step: int) -> Parts:
        """1 for the answer tags."""
        return {"control": format_reward(group)}


class WrongMajorityConfig(AqaTtrlConfig):
    """Settings of aqa_ttrl, without its format reward, which would improve the format whatever the label is."""

    format_weight: float = Field(0.0, ge=0, description="weight of the format reward")


class WrongMajority(AqaTtrl):
    """aqa_ttrl with the runner-up of the vote as the label."""

    name = "wrong_majority"
    summary = "control: aqa_ttrl towards the option that came second in the vote"
    paper = "arXiv 2506.10947"
    Config = WrongMajorityConfig

    def labels_of(self, batch: Sequence[Question], step: int) -> Labels:
        """The wrong options. A question without another option has none."""
        votes = super().labels_of(batch, step)
        wrong = {
            q.id: replace(votes[q.id], choice=wrong_choice(votes[q.id], q, self.seed)) for q in batch if q.id in votes
        }
        return {id_: vote for id_, vote in wrong.items() if vote.choice is not None}
