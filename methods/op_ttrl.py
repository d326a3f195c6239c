"""op_ttrl: test-time reinforcement learning on questions without options (OP-TTRAV), with eight reward modes.

In every step each question of the batch is sampled, and the samples are compared by their final answers. GRPO trains on
some of the samples, rewarded for agreeing with the others; the mode says how agreement is measured. Empty answers do
not count, and a question with only empty answers is skipped. Rewards that come from the model itself collapse without a
KL penalty, so ``beta`` is 0.02 by default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field, model_validator

from audio_eval.method import Cost, MethodConfig
from audio_eval.methods.test_time import TestTime
from audio_eval.models.policy import MIN_TEMPERATURE, Sampling, TrainablePolicy
from audio_eval.questions import Question
from audio_eval.rl.advantages import CONFIDENCE_WEIGHTS, ConfidenceWeight
from audio_eval.rl.consensus.agreement import Agree, Comparing, agreement
from audio_eval.rl.consensus.judging import known_advantages
from audio_eval.rl.experience import Experience
from audio_eval.rl.rewards import format_reward
from audio_eval.rl.rollouts import Rewards, reinforce
from audio_eval.rl.session import Session
from audio_eval.rl.settings import Steps
from audio_eval.seeding import stream


class Config(MethodConfig, Comparing, Steps):
    """Settings of op_ttrl. The defaults are those of OP-TTRAV's scripts, but with LoRA instead of full fine-tuning."""

    full_lr: ClassVar[float] = 2e-6
    votes: int = Field(16, ge=2, description="samples per question that are compared")
    group_size: int = Field(4, ge=2, description="samples per question that are trained on")
    distinct: bool = Field(True, description="train on different completions first")
    temperature: float = Field(
        1.0, ge=MIN_TEMPERATURE, description="sampling temperature; at lower ones samples are too similar"
    )
    batch_size: int = Field(4, ge=1, description="questions per step")
    steps: int = Field(500, ge=0, description="training steps; the model after the last one is scored")
    beta: float = Field(0.02, ge=0, description="weight of the KL penalty towards the unadapted model")
    conf_weight: ConfidenceWeight = Field("none", description="f in f(confidence) x advantage")
    format_weight: float = Field(
        0.0, ge=0, description="weight of the format reward, for prompts that ask for answer tags"
    )

    @model_validator(mode="after")
    def _judge_is_whole(self) -> Config:
        if (self.judge_url is None) != (self.judge_model is None):
            raise ValueError("judge_url and judge_model go together")
        if self.judge_url is not None and self.reward != "judge":
            raise ValueError(f"reward={self.reward} does not use judge_url")
        return self


class OpTtrl(TestTime):
    """Finds what the samples of a step agree on, and trains towards it."""

    name = "op_ttrl"
    summary = "test-time RL on open-ended questions: reward=majority|medoid|centroid|judge|cluster|evolrl|empo|intuitor"
    paper = "OP-TTRAV (github.com/mvideet/OP-TTRAV)"
    Config = Config
    presets: ClassVar = {
        **TestTime.presets,
        "evolrl": {"reward": "evolrl", "clip_high": 0.28, "entropy_coef": 0.001, "beta": 0.001},
        "intuitor": {"reward": "intuitor", "votes": 7, "group_size": 7, "beta": 0.005, "lr": 3e-6},
    }
    config: Config
    agree: Agree

    @property
    def needs_judge(self) -> bool:
        """With reward=judge: the policy itself, or a server."""
        return self.config.reward == "judge"

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """The samples of a step are compared, and some of them trained on."""
        c = self.config
        asked = c.steps * c.batch_size
        judged = asked * c.votes if self.needs_judge else 0
        return Cost(0, c.steps, asked * c.votes, asked * min(c.votes, c.group_size), scored, judged)

    def prepare(self, policy: TrainablePolicy, questions: Sequence[Question], run: Session) -> Sequence[Question]:
        """Load what compares the answers."""
        self.agree = agreement(self.config, policy, self.seed)
        return questions

    def learn(self, policy: TrainablePolicy, batch: Sequence[Question], step: int) -> Experience:
        """Sample, compare, and train on part of the samples."""
        c, weight = self.config, CONFIDENCE_WEIGHTS[self.config.conf_weight]
        sampled = policy.generate(batch, Sampling(c.votes, c.temperature, stream=f"step{step}", seed=self.seed))
        pairs = [(g, a) for g, a in zip(sampled, self.agree(sampled), strict=True) if a.label is not None]
        rollouts, found = [group for group, _ in pairs], [one for _, one in pairs]
        groups, advantages, rewards = [], [], Rewards([], {"agreement": [], "format": []})
        for whole, one in pairs:
            group = whole.part(c.group_size, stream(self.seed, whole.question.id, "part", step), c.distinct)
            rows = [whole.completions.index(completion) for completion in group.completions]
            format_ = format_reward(group)
            total = one.rewards[rows] + c.format_weight * format_
            groups.append(group)
            rewards.totals.append(total)
            rewards.parts["agreement"].append(one.rewards[rows])
            rewards.parts["format"].append(format_)
            advantages.append(known_advantages(total, np.array(group.counts), one.known[rows]))
        weights = {group.question.id: weight(one.confidence) for group, one in pairs}
        experience = reinforce(groups, rewards, weights, advantages)
        experience.metrics |= {
            "vote_share": float(np.mean([one.confidence for one in found] or [0.0])),
            "skipped_silent": len(batch) - len(pairs),
        }
        for name in found[0].metrics if found else ():
            experience.metrics[name] = float(np.mean([one.metrics[name] for one in found]))
        experience.rollouts, experience.correctness = rollouts, [one.rewards for one in found]
        experience.labels = {group.question.id: str(one.label) for group, one in pairs}
        return experience
