"""op_ttrl: test-time reinforcement learning on questions without options (OP-TTRAV), one reward mode out of eight.

At every step each question of the batch is sampled, the samples elect what the group means, and GRPO learns from some
of them, rewarded for how near they are to it. What stands for agreement is the mode; answers are compared by their
answer span alone. Samples that say nothing elect nothing, and where nobody says anything there is nothing to learn.
Rewards that come from the model itself collapse without a KL: ``beta`` is 0.02 unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.policy import Policy, Sampling
from audio_eval.questions import Question
from audio_eval.rl.advantages import CONFIDENCE_WEIGHTS, ConfidenceWeight
from audio_eval.rl.consensus.agreement import Comparing, election
from audio_eval.rl.consensus.judging import known_advantages
from audio_eval.rl.loop import Experience, batch_at, train
from audio_eval.rl.rewards import format_reward, mean_reward
from audio_eval.rl.rollouts import Steps
from audio_eval.rl.session import Session
from audio_eval.seeding import stream


class Config(MethodConfig, Comparing, Steps):
    """Settings of op_ttrl; the defaults are OP-TTRAV's scripts', with adapters for full fine-tuning."""

    votes: int = Field(16, ge=2, description="samples a question that elect the answer")
    group_size: int = Field(4, ge=2, description="samples of these that are learnt from")
    distinct: bool = Field(True, description="learn from different completions first")
    temperature: float = Field(1.0, gt=0, description="of the samples; lower ones are too alike to learn from")
    batch_size: int = Field(4, ge=1, description="questions a step")
    steps: int = Field(500, ge=0, description="updates; the last one is what is scored")
    lr: float = Field(2e-6, gt=0, description="AdamW learning rate")
    beta: float = Field(0.02, ge=0, description="weight of the KL to the unadapted model, against collapse")
    conf_weight: ConfidenceWeight = Field("none", description="f in f(confidence) x advantage")
    format_weight: float = Field(0.0, ge=0, description="weight of the format reward, for prompts that ask for tags")

    @model_validator(mode="after")
    def _judge_is_whole(self) -> Config:
        if (self.judge_url is None) != (self.judge_model is None):
            raise ValueError("judge_url and judge_model go together")
        if self.judge_url is not None and self.reward != "judge":
            raise ValueError(f"judge_url is of no use to reward={self.reward}")
        return self


class OpTtrl(Method):
    """Elects an answer among the samples of a step, and learns to say it."""

    name = "op_ttrl"
    summary = "test-time RL on open-ended questions: reward=majority|medoid|centroid|judge|cluster|evolrl|empo|intuitor"
    paper = "OP-TTRAV (github.com/mvideet/OP-TTRAV)"
    Config = Config
    trains = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "evolrl": {"reward": "evolrl", "clip_high": 0.28, "entropy_coef": 0.001, "beta": 0.001},
        "intuitor": {"reward": "intuitor", "votes": 7, "group_size": 7, "beta": 0.005, "lr": 3e-6},
    }
    config: Config

    @property
    def transductive(self) -> bool:
        """It adapts on the scored items, without their answers."""
        return True

    @property
    def needs_judge(self) -> bool:
        """The policy itself, or a server."""
        return self.config.reward == "judge"

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """The samples of a step elect and are learnt from."""
        c = self.config
        asked = c.steps * c.batch_size
        judged = asked * c.votes if self.needs_judge else 0
        return Cost(0, c.steps, asked * c.votes, asked * min(c.votes, c.group_size), scored, judged)

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Sample, elect, learn, step by step."""
        c = self.config
        elect, weight = election(c, policy), CONFIDENCE_WEIGHTS[c.conf_weight]

        def experience(step: int) -> Experience:
            batch = batch_at(questions, c.batch_size, step, run.seed)
            drawn = policy.generate(batch, Sampling(c.votes, c.temperature, stream=f"step{step}"))
            both = [(g, e) for g, e in zip(drawn, elect(drawn), strict=True) if e.label is not None]
            groups, advantages = [], []
            for whole, elected in both:
                group = whole.part(c.group_size, stream(run.seed, whole.question.id, "part", step), c.distinct)
                rows = [whole.completions.index(completion) for completion in group.completions]
                rewards = elected.rewards[rows] + c.format_weight * format_reward(group)
                normalised = known_advantages(rewards, np.array(group.counts), elected.known[rows])
                groups.append(group)
                advantages.append(weight(elected.confidence) * normalised)
            whole_groups = [group for group, _ in both]
            metrics = {
                "reward": mean_reward(whole_groups, [elected.rewards for _, elected in both]),
                "vote_share": float(np.mean([elected.confidence for _, elected in both] or [0.0])),
                "skipped_silent": len(batch) - len(both),
            }
            for name in both[0][1].metrics if both else ():
                metrics[name] = float(np.mean([elected.metrics[name] for _, elected in both]))
            labels = {group.question.id: str(elected.label) for group, elected in both}
            judged = [elected.rewards for _, elected in both]
            return Experience(groups, advantages, metrics, judged, whole_groups, labels)

        train(policy, c, c.steps, experience, run)
