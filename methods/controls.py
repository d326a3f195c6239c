"""The controls of test-time RL: the same loop with a reward that cannot teach the answer.

What they gain is not knowledge: format, sharpening, chance (Spurious Rewards, arXiv 2506.10947). A method is worth
what it gains above them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field

from audio_eval.group import Group
from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.methods.aqa_ttrl import AqaTtrl
from audio_eval.methods.aqa_ttrl import Config as AqaTtrlConfig
from audio_eval.models.policy import Policy
from audio_eval.questions import Question
from audio_eval.rl.controls import random_reward, wrong_choice
from audio_eval.rl.labels import Labels
from audio_eval.rl.loop import Experience, batch_at, train
from audio_eval.rl.rewards import format_reward
from audio_eval.rl.rollouts import Parts, Reward, Rollouts, roll_out
from audio_eval.rl.session import Session


class Config(MethodConfig, Rollouts):
    """Settings of a control; what it shares with aqa_ttrl has its defaults."""

    temperature: float = Field(1.0, gt=0, description="of the rollouts")
    max_attempts: int = Field(3, ge=1, description="groups drawn at most for a question in a step")


class _Control(Method):
    """GRPO on the scored items, with a reward that no label goes into."""

    paper = "arXiv 2506.10947"
    Config = Config
    trains = True
    config: Config

    @property
    def transductive(self) -> bool:
        """It adapts on the scored items, without their answers."""
        return True

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """No votes."""
        c = self.config
        rollouts = c.steps * c.batch_size * c.group_size
        return Cost(0, c.steps, rollouts * c.max_attempts, rollouts, scored)

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Train."""
        c = self.config

        def experience(step: int) -> Experience:
            reward = Reward(lambda group: self.parts(group, run.seed, step), {"control": 1.0})
            return roll_out(policy, batch_at(questions, c.batch_size, step, run.seed), c, c.temperature, step, reward)

        train(policy, c, c.steps, experience, run)

    def parts(self, group: Group, seed: int, step: int) -> Parts:
        """The reward of a group."""
        raise NotImplementedError


class RandomReward(_Control):
    """A coin for each rollout."""

    name = "random_reward"
    summary = "control: GRPO on the scored items, each rollout rewarded by a coin"

    def parts(self, group: Group, seed: int, step: int) -> Parts:
        """Heads or tails."""
        return {"control": random_reward(group, seed, step)}


class FormatReward(_Control):
    """Only the form of an answer is rewarded."""

    name = "format_reward"
    summary = "control: GRPO on the scored items, rewarded for the answer tags alone"

    def parts(self, group: Group, seed: int, step: int) -> Parts:
        """The tags."""
        return {"control": format_reward(group)}


class WrongMajorityConfig(AqaTtrlConfig):
    """aqa_ttrl's, without its format reward: that would mend the format, whatever the label."""

    format_weight: float = Field(0.0, ge=0, description="weight of the format reward")


class WrongMajority(AqaTtrl):
    """aqa_ttrl with the runner-up of the vote for a label."""

    name = "wrong_majority"
    summary = "control: aqa_ttrl towards the option that came second in the vote"
    paper = "arXiv 2506.10947"
    Config = WrongMajorityConfig

    def learn(self, policy: Policy, batch: Sequence[Question], labels: Labels, step: int) -> Experience:
        """Learn from the wrong ones."""
        wrong = {q.id: replace(labels[q.id], choice=wrong_choice(labels[q.id], q, policy.seed)) for q in batch}
        kept = [q for q in batch if wrong[q.id].choice is not None]
        return super().learn(policy, kept, wrong, step)
