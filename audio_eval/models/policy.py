"""Policy: the model as a method sees it. Backends implement this protocol; methods never import a backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from audio_eval.errors import UserError

if TYPE_CHECKING:
    import torch

    from audio_eval.group import Group
    from audio_eval.questions import Question

LossName = Literal["grpo", "dr_grpo", "dapo", "bnpo", "gspo"]  # formulas: models/hf/loss.py
Schedule = Literal["constant", "linear", "cosine"]  # formulas: rl/schedule.py
# Ten times the usual rate of full fine-tuning: Schulman et al., "LoRA Without Regret", 2025. trl's issue 2872 has GRPO
# with adapters that learns next to nothing at 5e-7.
LORA_LR = 1e-5
# Of what is sampled: divided by less, logits leave the range in which a softmax tells them apart. 0 is greedy decoding.
MIN_TEMPERATURE = 0.01


@dataclass(frozen=True)
class Sampling:
    """How to draw completions. ``temperature`` 0 is greedy decoding.

    Random numbers depend on ``seed``, the question's id and ``stream``, and on nothing else: the same three draw the
    same completions in any batch and at any time.
    """

    n: int = 1  # completions per question
    temperature: float = 0.0
    top_k: int | None = None  # sample from the k most probable tokens only; None: from all
    top_p: float = 1.0  # of these, the smallest set whose probability reaches top_p
    max_tokens: int | None = None  # None: the policy's own limit
    stop: tuple[str, ...] = ()  # generation ends at the first of these strings, which is cut off
    stream: str = "predict"  # what the samples are for, e.g. "vote" or "step12"
    seed: int | None = None  # None: the run's seed

    def keyed(self, stream: str) -> Sampling:
        """The same sampling from another random stream."""
        return replace(self, stream=stream)


# The metric that a step has if updates of it were not made, as their loss or gradient was not finite: how many.
DROPPED = "dropped_updates"


@dataclass(frozen=True)
class PolicyInfo:
    """What a policy is. ``device`` is in words ("cpu (2 threads)"); ``trainable``: it is a TrainablePolicy."""

    name: str
    revision: str
    backend: str
    device: str
    trainable: bool


class Update(NamedTuple):
    """The result of a training step: metrics for the log, and the questions that could not be trained on."""

    metrics: dict[str, float]
    failed: dict[str, str]  # question id -> the reason


class PromptLength(NamedTuple):
    """The length of a prompt in tokens; ``audio`` of them stand for the recording."""

    tokens: int
    audio: int


class Training(BaseModel):
    """Settings of the weight update, the same for every method that trains.

    ``full_lr`` is the ``lr`` of full fine-tuning where none is given, unless a subclass has a default of its own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    full_lr: ClassVar[float] = 1e-6

    tune: Literal["lora", "full"] = Field(
        "lora", description="what is trained: LoRA adapters on the language model, or all of its weights"
    )
    train_tower: bool = Field(False, description="with tune=full: train the audio tower as well")
    lora_r: int = Field(16, ge=1, description="rank of the LoRA adapters")
    lora_alpha: int = Field(32, ge=1, description="alpha (scale) of the LoRA adapters")
    lr: float = Field(
        LORA_LR, gt=0, description="AdamW learning rate; the default is for adapters, with tune=full it is the source's"
    )
    schedule: Schedule = Field(
        "constant", description="learning rate over the steps: constant, or falling to zero (linear, cosine)"
    )
    warmup: float = Field(0.0, ge=0, lt=1, description="share of the steps in which the learning rate rises from zero")
    optimizer: Literal["adamw", "adamw_8bit", "adamw_offloaded"] = Field(
        "adamw",
        description="adamw; adamw_8bit (moments in eight bits, an approximation: a quarter of their memory); or "
        "adamw_offloaded (moments in host memory: the same updates, slower)",
    )
    weight_decay: float = Field(0.01, ge=0, description="AdamW weight decay")
    max_grad_norm: float = Field(1.0, gt=0, description="the gradient norm is clipped to this value")
    loss: LossName = Field(
        "grpo", description="policy loss: grpo, dr_grpo, dapo, bnpo (token-level ratios) or gspo (sequence-level)"
    )
    clip: float = Field(0.2, gt=0, description="clip range of the probability ratio below 1")
    clip_high: float | None = Field(None, gt=0, description="clip range above 1; none: the same as clip")
    beta: float = Field(0.0, ge=0, description="weight of the KL penalty towards the unadapted model")
    entropy_coef: float = Field(0.0, ge=0, description="weight of the entropy bonus")
    mask_truncated: bool = Field(
        False, description="no gradient from completions that were cut at max_tokens; they still count in the means"
    )
    inner_updates: int = Field(1, ge=1, description="passes of optimizer updates over the same rollouts")
    mini_batch: int | None = Field(
        None, ge=1, description="questions per optimizer update; none: one update with all questions of a step"
    )
    token_budget: int | None = Field(
        None,
        ge=1,
        description="tokens per micro-batch: prompts, completions and padding; none: 16384, on a GPU by its memory",
    )
    logits_chunk: int = Field(1024, ge=1, description="completion positions whose logits are in memory at once")
    checkpointing: bool | None = Field(
        None,
        description="activation checkpointing: less memory, slower backward pass; none: on for tune=full on a GPU",
    )

    @model_validator(mode="before")
    @classmethod
    def _rate_of_full_tuning(cls, given: Any) -> Any:
        fields = cls.model_fields
        if not isinstance(given, dict) or given.get("tune", fields["tune"].default) != "full":
            return given
        return {"lr": cls.full_lr, **given} if fields["lr"].default == LORA_LR else given


@runtime_checkable
class Policy(Protocol):
    """A model that generates. It keeps no state between calls that changes what it generates, except its weights."""

    @property
    def info(self) -> PolicyInfo:
        """Which model it is, and where it runs."""
        ...

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        """One Group per question, in order. For a question that fails, an empty group with ``error``."""
        ...


@runtime_checkable
class ScoresCompletions(Policy, Protocol):
    """A model that generates and can tell how probable a given completion is."""

    def encode(self, question: Question, text: str) -> Group:
        """A group with one given completion, tokenised and ended as if the policy had sampled it."""
        ...

    def logprobs(self, groups: Sequence[Group]) -> list[Group]:
        """The groups, each completion with the ``logprobs`` (T,) of its tokens under the current weights, in nats, and
        with ``greedy``.

        Without gradient; they do not depend on counts or on what else is scored. For a question that fails, an empty
        group with ``error``.
        """
        ...


@runtime_checkable
class ReadsTokens(ScoresCompletions, Protocol):
    """A model that also takes ``Question.tokens``: any text, with no chat template around it."""

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, as transformers has it, with a chat template."""
        ...

    @property
    def max_length(self) -> int:
        """How many tokens a prompt and its completion may have together."""
        ...


@runtime_checkable
class TrainablePolicy(ScoresCompletions, Protocol):
    """A model that generates, scores and can be trained."""

    @property
    def trained_parameters(self) -> int:
        """How many parameters are trained; 0 before ``begin_training``."""
        ...

    def begin_training(self, training: Training, seed: int) -> None:
        """Make the chosen weights trainable and set up the optimizer. ``seed`` initialises new adapters."""
        ...

    def train_step(self, groups: Sequence[Group], advantages: Sequence[np.ndarray], lr_scale: float = 1.0) -> Update:
        """Optimizer updates on groups with advantages (U,) each: ``inner_updates`` passes in ``mini_batch`` parts.

        ``lr_scale`` multiplies the learning rate. An update whose loss or gradient is not finite is not made; the
        metric ``DROPPED`` counts such.
        """
        ...

    def self_certainty(self, groups: Sequence[Group]) -> list[np.ndarray]:
        """For each group (U,): the self-certainty of each completion, a mean over its tokens; without gradient.

        For a token it is KL(uniform || p) = logsumexp(logits) - mean(logits) - log V in nats, where V is the size of
        the vocabulary (INTUITOR, arXiv 2505.19590; its code leaves out log V). An empty array for a group whose
        recording cannot be read.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write the trained weights and the optimizer state into ``folder``."""
        ...

    def load(self, folder: Path) -> None:
        """Read back what ``save`` wrote. Training then goes on bit for bit as if it had not stopped."""
        ...

    def reset(self) -> None:
        """Go back to the unadapted model."""
        ...


@runtime_checkable
class TakesWeights(Policy, Protocol):
    """A model that generates, with weights that a trainer beside it hands over."""

    @property
    def takes_adapters(self) -> bool:
        """Whether it can run a LoRA adapter beside its weights; else it is given merged weights."""
        ...

    def take_adapter(self, folder: Path) -> None:
        """Sample with the LoRA adapter in ``folder`` from now on, in place of the one before.

        ``folder`` has vLLM's names, as the ``vllm`` folder that a trained policy saves. ``UserError`` if the model has
        no module of one of these names.
        """
        ...

    def take_weights(self, tensors: Mapping[str, torch.Tensor], tower_changed: bool) -> None:
        """Replace these weights, by transformers' names; all parameters of a layer come together.

        ``tower_changed``: the audio tower's, or the projector's, are among them, so encoded clips are forgotten.
        """
        ...

    def drop_weights(self) -> None:
        """Go back to the unadapted model."""
        ...


@runtime_checkable
class MeasuresPrompts(Protocol):
    """A policy that can tell the length of a prompt without running the model."""

    def prompt_length(self, question: Question) -> PromptLength:
        """Length of the question's prompt with its recording, from the recording's header."""
        ...


def scoring(policy: Policy) -> ScoresCompletions:
    """``policy`` as one that scores given completions; ``UserError`` where it can only generate."""
    if not isinstance(policy, ScoresCompletions):
        raise UserError(
            f"'{policy.info.name}' can only generate: a method that scores given completions needs a model of the "
            "hf backend."
        )
    return policy


def trainable(policy: Policy) -> TrainablePolicy:
    """``policy`` as one that can be trained; ``UserError`` where it can only generate."""
    if not isinstance(policy, TrainablePolicy):
        raise UserError(
            f"'{policy.info.name}' can only generate: a method that trains needs a model of the hf backend."
        )
    return policy
