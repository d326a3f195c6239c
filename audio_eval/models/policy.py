"""Policy: what a method adapts. Backends implement it; methods never import a backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

if TYPE_CHECKING:
    from audio_eval.group import Group
    from audio_eval.questions import Question

LossName = Literal["grpo", "dr_grpo", "dapo", "bnpo", "gspo"]  # models/hf/loss.py has the formulas
Schedule = Literal["constant", "linear", "cosine"]  # rl/schedule.py has them


@dataclass(frozen=True)
class Sampling:
    """How to draw completions. ``temperature`` 0 is greedy; ``stream`` names the random stream beside the question."""

    n: int = 1
    temperature: float = 0.0
    top_k: int | None = None  # of the most probable tokens; None: all
    top_p: float = 1.0  # of what top_k leaves
    max_tokens: int | None = None  # None: the policy's own limit
    stop: tuple[str, ...] = ()  # an answer ends where it has written one of these; its text ends before it
    stream: str = "predict"

    def keyed(self, stream: str) -> Sampling:
        """The same sampling from another random stream."""
        return replace(self, stream=stream)


@dataclass
class Usage:
    """What a policy has been made to do so far."""

    samples: int = 0  # completions drawn, greedy ones too
    audio_seconds: float = 0.0  # audio of the questions asked
    truncated: set[str] = field(default_factory=set)  # ids of questions whose audio the model cannot take whole
    failed: dict[str, str] = field(default_factory=dict)  # id of a question that could not be asked -> why


class Training(BaseModel):
    """Settings of the update, the same for every method that trains."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tune: Literal["lora", "full"] = Field("lora", description="adapters on the language model, or its own weights")
    train_tower: bool = Field(False, description="with tune=full: the audio tower's weights as well")
    lora_r: int = Field(16, ge=1, description="rank of the adapters")
    lora_alpha: int = Field(32, ge=1, description="scale of the adapters")
    lr: float = Field(1e-6, gt=0, description="AdamW learning rate")
    schedule: Schedule = Field("constant", description="linear, cosine: the rate falls to zero at the end")
    warmup: float = Field(0.0, ge=0, lt=1, description="share of the steps over which the rate rises from zero")
    weight_decay: float = Field(0.01, ge=0, description="AdamW weight decay")
    max_grad_norm: float = Field(1.0, gt=0, description="gradient norm is clipped to this")
    loss: LossName = Field(
        "grpo", description="grpo, dr_grpo, dapo, bnpo: the average of tokens; gspo: one ratio an answer"
    )
    clip: float = Field(0.2, gt=0, description="how far below 1 a probability ratio still counts")
    clip_high: float | None = Field(None, gt=0, description="how far above 1; none: the same as clip")
    beta: float = Field(0.0, ge=0, description="weight of the KL to the unadapted model")
    entropy_coef: float = Field(0.0, ge=0, description="weight of a bonus for the entropy of each token's distribution")
    mask_truncated: bool = Field(False, description="answers cut at max_tokens teach nothing, but count in the means")
    inner_updates: int = Field(1, ge=1, description="updates on the same groups")
    stop_when: str | None = Field(None, description="stop once this holds, as in majority_ratio>0.99 for 10")
    token_budget: int = Field(16384, ge=1, description="tokens of a micro-batch, prompt and completions, after padding")
    logits_chunk: int = Field(1024, ge=1, description="completion positions whose logits are in memory at once")
    checkpointing: bool = Field(False, description="compute activations again in the backward instead of keeping them")

    @field_validator("stop_when")
    @classmethod
    def _is_a_rule(cls, value: str | None) -> str | None:
        from audio_eval.rl.monitors import parse_rule  # it needs the rules of scoring

        parse_rule(value)
        return value


@runtime_checkable
class Policy(Protocol):
    """Generates. ``seed`` keys every random stream, so two policies of one seed draw the same."""

    name: str
    revision: str
    seed: int
    usage: Usage

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        """One Group a question, in order; a question that cannot be asked gives an empty group with ``error``."""
        ...


@runtime_checkable
class TrainablePolicy(Policy, Protocol):
    """Generates and learns."""

    def begin_training(self, training: Training) -> None:
        """Make the chosen weights trainable and set up the optimizer."""
        ...

    def encode(self, question: Question, text: str) -> Group:
        """A group of one given completion, tokenised and ended as the policy would have sampled it."""
        ...

    def train_step(
        self, groups: Sequence[Group], advantages: Sequence[np.ndarray], lr_scale: float = 1.0
    ) -> dict[str, float]:
        """One optimizer step (``inner_updates`` of them) on groups with advantages (U,) each; returns metrics."""
        ...

    def self_certainty(self, groups: Sequence[Group]) -> list[np.ndarray]:
        """For each group (U,): how far the model is from guessing, mean over a completion's tokens, without gradient.

        Of a token that is KL(uniform || p) = logsumexp(logits) - mean(logits) - log V in nats, V the model's vocabulary
        (INTUITOR, arXiv 2505.19590; its code leaves out log V). A group that cannot be asked gives an empty array.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write what was trained, and the optimizer, into ``folder``."""
        ...

    def load(self, folder: Path) -> None:
        """Read back what ``save`` wrote; training goes on bit-equal from there."""
        ...

    def reset(self) -> None:
        """Back to the unadapted model."""
        ...
