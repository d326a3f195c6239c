"""GRPO with the labels of a training task (R1-AQA, arXiv 2503.11197): accuracy and format reward, KL to the base model.

``reward=audio_thinker`` rewards thinking where it helps instead (rl/adaptive.py). Recipes that differ only in settings
are presets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.policy import MIN_TEMPERATURE, Policy, Sampling
from audio_eval.questions import Question
from audio_eval.rl.adaptive import adaptive_rewards
from audio_eval.rl.experience import Experience
from audio_eval.rl.labels import gold_labels
from audio_eval.rl.loop import batch_at, train
from audio_eval.rl.rewards import accuracy_reward
from audio_eval.rl.rollouts import Parts, Reward, Rewards, reinforce
from audio_eval.rl.session import Session
from audio_eval.rl.settings import SMALL_MODEL_STEPS, Updates
from audio_eval.rl.structure import Format, length_reward, structure_reward

if TYPE_CHECKING:
    from audio_eval.scoring.judge import Judge


class Config(MethodConfig, Updates):
    """Settings of grpo. The defaults are R1-AQA's, but with LoRA instead of full fine-tuning."""

    steps: int = Field(1000, ge=0, description="training steps; the model after the last one is scored")
    batch_size: int = Field(16, ge=1, description="questions per step")
    group_size: int = Field(8, ge=2, description="rollouts per question (G)")
    temperature: float = Field(1.0, ge=MIN_TEMPERATURE, description="sampling temperature of the rollouts")
    beta: float = Field(0.04, ge=0, description="weight of the KL penalty towards the unadapted model")
    reward: Literal["accuracy_format", "audio_thinker"] = Field(
        "accuracy_format", description="weighted sum of accuracy and format reward, or Audio-Thinker's reward"
    )
    accuracy_weight: float = Field(1.0, ge=0, description="weight of the accuracy reward")
    format_weight: float = Field(1.0, ge=0, description="weight of the format reward")
    format: Format = Field("answer", description="tags that the format reward asks for")
    graded_format: bool = Field(False, description="format reward: a share for each tag instead of all or nothing")
    length_weight: float = Field(0.0, ge=0, description="weight of a reward for the length of the thinking")
    length_words: int = Field(25, ge=1, description="with length_weight: number of words that the thinking should have")
    judge_url: str | None = Field(
        None, description="reward=audio_thinker: URL of the server that judges consistency and thinking"
    )
    judge_model: str | None = Field(None, description="reward=audio_thinker: model name on that server")

    @model_validator(mode="after")
    def _judge_of_thinking(self) -> Config:
        if (self.judge_url is None) != (self.judge_model is None):
            raise UserError("judge_url and judge_model go together: a server, and the model on it.")
        if self.judge_url is not None and self.reward != "audio_thinker":
            raise UserError("reward=accuracy_format does not use judge_url: set reward=audio_thinker.")
        return self


R1_AQA = {
    "steps": 1000, "batch_size": 16, "group_size": 8, "temperature": 1.0, "lr": 1e-6, "beta": 0.04, "tune": "full",
    "train_tower": True,  # its trainer freezes nothing
    "schedule": "linear", "weight_decay": 0.0,  # the trainer's defaults where the recipe sets nothing
}  # fmt: skip


class Grpo(Method):
    """Reinforcement learning on a labelled training task. It does not see the scored items."""

    name = "grpo"
    summary = "GRPO on a labelled training task (--train-task)"
    paper = "R1-AQA, arXiv 2503.11197; GRPO, arXiv 2402.03300"
    Config = Config
    trains = True
    needs_choices = True
    presets: ClassVar = {
        "small": SMALL_MODEL_STEPS,
        "r1_aqa": R1_AQA,
        "ke_omni_r": {
            "steps": 6400, "group_size": 8, "beta": 0.01, "tune": "full", "accuracy_weight": 2.0,
            "train_tower": True, "format": "think_answer",
        },
        "nemo_rl": {
            "steps": 200, "batch_size": 8, "mini_batch": 4, "group_size": 8, "lr": 1e-6, "warmup": 0.05,
            "loss": "dapo", "beta": 0.01, "tune": "full",
            "accuracy_weight": 0.8, "format_weight": 0.2, "format": "think_answer", "graded_format": True,
        },
        "audio_thinker": {**R1_AQA, "reward": "audio_thinker"},
    }  # fmt: skip
    config: Config

    @property
    def needs_labels(self) -> bool:
        """The answers of a training task are the labels."""
        return True

    @property
    def needs_judge(self) -> bool:
        """A judge gives two parts of Audio-Thinker's reward; without one they are 0."""
        return self.config.reward == "audio_thinker" and self.config.judge_url is not None

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """A group for each question of a step. The judge is asked about each rollout once at most."""
        c = self.config
        drawn = c.steps * c.batch_size * c.group_size
        return Cost(
            steps=c.steps, rollouts=drawn, trained=drawn, answers=scored, judged=drawn if self.needs_judge else 0
        )

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Train on ``run.examples``."""
        c, gold, judge = self.config, gold_labels(run.examples), self._judge()
        pool = [example.question for example in run.examples if example.question.id in gold]

        def parts(group: Group) -> Parts:
            wanted: Format = "maybe_think" if c.reward == "audio_thinker" else c.format
            found = {"accuracy": accuracy_reward(group, gold[group.question.id])}
            found["format"] = structure_reward(group, wanted, c.graded_format)
            return found | ({"thinking_length": length_reward(group, c.length_words)} if c.length_weight else {})

        mix = {"accuracy": c.accuracy_weight, "format": c.format_weight}
        reward = Reward(parts, mix | ({"thinking_length": c.length_weight} if c.length_weight else {}))

        def experience(step: int) -> Experience:
            batch = batch_at(pool, c.batch_size, step, run.seed)
            groups = policy.generate(batch, Sampling(c.group_size, c.temperature, stream=f"step{step}", seed=self.seed))
            rewards, metrics = reward.of(groups), dict[str, float]()
            if c.reward == "audio_thinker":
                totals, metrics = adaptive_rewards(groups, [gold[q.id] for q in batch], step / c.steps, judge)
                lengths = [c.length_weight * length_reward(group, c.length_words) for group in groups]
                rewards = Rewards([t + more for t, more in zip(totals, lengths, strict=True)], rewards.parts)
            found = reinforce(groups, rewards)
            found.metrics |= metrics
            return found

        train(policy, c, c.steps, experience, run)

    def _judge(self) -> Judge | None:
        from audio_eval.cache import cache_root
        from audio_eval.scoring.judge import Judge

        url, model = self.config.judge_url, self.config.judge_model
        return Judge(url, model, cache=cache_root() / "judge") if url and model else None
