"""GRPO with the labels of a training task (R1-AQA, arXiv 2503.11197): accuracy + format reward, KL to the base.

``reward=audio_thinker`` pays for thinking where it helps instead (rl/adaptive.py). The recipes that differ in settings
alone are presets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from audio_eval.errors import UserError
from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.policy import Policy, Sampling, Training
from audio_eval.questions import Question
from audio_eval.rl.adaptive import adaptive_rewards
from audio_eval.rl.labels import gold_labels
from audio_eval.rl.loop import Experience, batch_at, train
from audio_eval.rl.reinforce import reinforce
from audio_eval.rl.rewards import accuracy_reward
from audio_eval.rl.session import Session
from audio_eval.rl.structure import Format, length_reward, structure_reward

if TYPE_CHECKING:
    from audio_eval.scoring.judge import Judge


class Config(MethodConfig, Training):
    """Settings of grpo; the defaults are R1-AQA's, with adapters for full fine-tuning."""

    steps: int = Field(1000, ge=0, description="updates; the last one is what is scored")
    batch_size: int = Field(16, ge=1, description="questions a step")
    group_size: int = Field(8, ge=2, description="rollouts a question (G)")
    temperature: float = Field(1.0, gt=0, description="of the rollouts")
    beta: float = Field(0.04, ge=0, description="weight of the KL to the unadapted model")
    reward: Literal["accuracy_format", "audio_thinker"] = Field(
        "accuracy_format", description="a weighted sum of the two, or Audio-Thinker's own sum"
    )
    accuracy_weight: float = Field(1.0, ge=0, description="weight of the accuracy reward")
    format_weight: float = Field(1.0, ge=0, description="weight of the format reward")
    format: Format = Field("answer", description="the tags that the format reward wants")
    graded_format: bool = Field(False, description="the format reward pays for each tag instead of for all or nothing")
    length_weight: float = Field(0.0, ge=0, description="weight of the reward for the length of the thinking")
    length_words: int = Field(25, ge=1, description="words that the thinking should have, with length_weight")
    judge_url: str | None = Field(None, description="audio_thinker: server of the judge of consistency and thinking")
    judge_model: str | None = Field(None, description="audio_thinker: the judge's model on that server")

    @model_validator(mode="after")
    def _judge_of_thinking(self) -> Config:
        if (self.judge_url is None) != (self.judge_model is None):
            raise UserError("judge_url and judge_model go together: a server, and which of its models judges.")
        if self.judge_url is not None and self.reward != "audio_thinker":
            raise UserError("judge_url is of no use to reward=accuracy_format: set reward=audio_thinker.")
        return self


R1_AQA = {
    "steps": 1000, "batch_size": 16, "group_size": 8, "temperature": 1.0, "lr": 1e-6, "beta": 0.04, "tune": "full",
    "schedule": "linear", "weight_decay": 0.0,  # what the trainer does where nothing is set
}  # fmt: skip


class Grpo(Method):
    """Reinforcement learning on a labelled training task; the scored items are not touched."""

    name = "grpo"
    summary = "GRPO on a labelled training task (--train-task)"
    paper = "R1-AQA, arXiv 2503.11197; GRPO, arXiv 2402.03300"
    Config = Config
    trains = True
    needs_choices = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "r1_aqa": R1_AQA,
        "ke_omni_r": {
            "steps": 6400, "group_size": 8, "beta": 0.01, "tune": "full", "accuracy_weight": 2.0,
            "format": "think_answer",
        },
        "nemo_rl": {
            "steps": 200, "batch_size": 8, "group_size": 8, "lr": 1e-6, "beta": 0.01, "tune": "full",
            "accuracy_weight": 0.8, "format_weight": 0.2, "format": "think_answer", "graded_format": True,
        },
        "audio_thinker": {**R1_AQA, "reward": "audio_thinker"},
    }  # fmt: skip
    config: Config

    @property
    def needs_labels(self) -> bool:
        """The answers of a training task."""
        return True

    @property
    def needs_judge(self) -> bool:
        """Audio-Thinker's reward has two parts that a judge gives; without one they are 0."""
        return self.config.reward == "audio_thinker" and self.config.judge_url is not None

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """A group a question of each step; a judge sees each rollout once at most."""
        c = self.config
        drawn = c.steps * c.batch_size * c.group_size
        return Cost(
            steps=c.steps, rollouts=drawn, trained=drawn, answers=scored, judged=drawn if self.needs_judge else 0
        )

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Train on ``run.examples``."""
        c, gold, judge = self.config, gold_labels(run.examples), self._judge()
        pool = [example.question for example in run.examples if example.question.id in gold]

        def experience(step: int) -> Experience:
            batch = batch_at(pool, c.batch_size, step, run.seed)
            groups = policy.generate(batch, Sampling(n=c.group_size, temperature=c.temperature, stream=f"step{step}"))
            accuracy = [accuracy_reward(group, gold[group.question.id]) for group in groups]
            wanted: Format = "maybe_think" if c.reward == "audio_thinker" else c.format
            format_ = [structure_reward(group, wanted, c.graded_format) for group in groups]
            parts, metrics = {"accuracy": accuracy, "format": format_}, dict[str, float]()
            if c.reward == "audio_thinker":
                rewards, metrics = adaptive_rewards(groups, [gold[q.id] for q in batch], step / c.steps, judge)
            else:
                rewards = [c.accuracy_weight * a + c.format_weight * f for a, f in zip(accuracy, format_, strict=True)]
            if c.length_weight:
                length = parts["thinking_length"] = [length_reward(group, c.length_words) for group in groups]
                rewards = [r + c.length_weight * more for r, more in zip(rewards, length, strict=True)]
            return reinforce(groups, rewards, parts, metrics)

        train(policy, c, c.steps, experience, run)

    def _judge(self) -> Judge | None:
        from audio_eval.cache import cache_root
        from audio_eval.scoring.judge import Judge

        url, model = self.config.judge_url, self.config.judge_model
        return Judge(url, model, cache=cache_root() / "judge") if url and model else None
