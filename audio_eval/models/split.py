"""SplitPolicy: one engine samples, another trains; after each update the sampler is given the trained weights.

``generate`` asks the sampler, such as vLLM; all that needs gradients or log-probabilities asks the trainer, the hf
engine, which is loaded only then. The tokens that the sampler drew go into the update as they are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from audio_eval.group import Group
from audio_eval.models.policy import (
    PolicyInfo,
    Sampling,
    TakesWeights,
    TrainablePolicy,
    Training,
    Update,
)
from audio_eval.models.sync_check import Agreement, HandedOver, SyncCheck, tokens_of
from audio_eval.questions import Question

if TYPE_CHECKING:
    import torch

_QUESTIONS = 4  # that the check draws completions of
_PROBE = Sampling(n=4, temperature=1.0, max_tokens=16, stream="sync", seed=0)


class Sampler(TakesWeights, Protocol):
    """What samples: it takes weights, and can be asked how probable it finds completions.

    One that may start anew by itself counts that as ``restarts``, so that its weights are compared again.
    """

    def logprobs(self, groups: Sequence[Group]) -> list[Group]:
        """As ``ScoresCompletions.logprobs``, of groups drawn at temperature 1."""
        ...


class GivesWeights(TrainablePolicy, Protocol):
    """What trains: the hf engine's ``HandoverPolicy``."""

    @property
    def chosen(self) -> dict[str, Any]:
        """Settings of the training that follow from the device's memory."""
        ...

    def checkpoint_bytes(self, weights_only: bool) -> int:
        """Bytes of what ``save`` writes, or ``save_weights``."""
        ...

    def save_weights(self, folder: Path) -> None:
        """The trained weights alone."""
        ...

    @property
    def has_adapter(self) -> bool:
        """Whether a LoRA adapter is trained, not the model's own weights."""
        ...

    def write_adapter(self, folder: Path) -> None:
        """Write the adapter, under vLLM's names in ``vllm/``."""
        ...

    def weights(self) -> Mapping[str, torch.Tensor]:
        """All weights of the model under transformers' names, an adapter merged into them."""
        ...

    def unadapted_logprobs(self, groups: Sequence[Group]) -> list[Group]:
        """``logprobs`` of the model without its adapter."""
        ...

    def merged_logprobs(self, groups: Sequence[Group]) -> list[Group]:
        """``logprobs`` of the model with its adapter merged, as ``weights`` has it."""
        ...


class SplitPolicy:
    """A TrainablePolicy. ``load_trainer`` makes the trainer when it is first needed; ``merge``: the sampler is given
    merged weights even if it takes adapters.
    """

    def __init__(self, sampler: Sampler, load_trainer: Callable[[], GivesWeights], merge: bool = False) -> None:
        self._sampler, self._load_trainer, self._merge = sampler, load_trainer, merge
        self._loaded: GivesWeights | None = None
        self._in_training = self._tower_trains = False
        self._forget()

    def _forget(self) -> None:
        """The sampler has the unadapted weights, and nothing was compared yet."""
        self._changed = False  # the trainer has weights that the sampler lacks
        self._unadapted = True  # the sampler was given none
        self._probe: list[Group] = []  # completions that both score
        self._check = SyncCheck()
        self._figures: dict[str, float] = {}
        self._how: HandedOver = "nothing"
        self._compared_at = 0  # restarts of the sampler when both were compared last
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def _trainer(self) -> GivesWeights:
        if self._loaded is None:
            self._loaded = self._load_trainer()
        return self._loaded

    @property
    def info(self) -> PolicyInfo:
        """The sampler, which says its version, and what trains its weights."""
        info = replace(self._sampler.info, trainable=True)
        if not self._in_training or self._loaded is None:
            return info
        other = self._loaded.info
        return replace(info, device=f"{info.device}; trained by {other.backend} on {other.device}")

    @property
    def trained_parameters(self) -> int:
        """How many parameters are trained; 0 before ``begin_training``."""
        return self._loaded.trained_parameters if self._loaded else 0

    # --- sampling --------------------------------------------------------------------------------------------------

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        """The sampler's groups, drawn with the weights that the trainer has now."""
        if self._in_training:
            self._sync(questions)
        groups = self._sampler.generate(questions, sampling)
        if self._in_training and self._probe and self._restarts != self._compared_at:
            self._compare()
        return groups

    @property
    def _restarts(self) -> int:
        return getattr(self._sampler, "restarts", 0)

    def _sync(self, questions: Sequence[Question]) -> None:
        """Hand over the weights where they changed, and check it."""
        if not self._probe:
            self._begin_check(questions)
        if not self._changed:
            return
        self._how = self._hand_over()
        self._changed = self._unadapted = False
        if self._probe:
            self._figures = self._compare().metrics()

    def _compare(self) -> Agreement:
        """Whether the sampler has the weights that it was given last, if any."""
        trainer, score = self._trainer, self._trainer.logprobs
        if trainer.has_adapter and self._how != "adapter":
            score = trainer.unadapted_logprobs if self._unadapted else trainer.merged_logprobs
        sampled = tokens_of(self._sampler.logprobs(self._probe))
        found = self._check.see(sampled, tokens_of(score(self._probe)), self._how)
        self._compared_at = self._restarts
        return found

    def _begin_check(self, questions: Sequence[Question]) -> None:
        """Draw the completions of the check, and compare the unadapted models, if both can still tell theirs."""
        drawn = self._sampler.generate(questions[: 2 * _QUESTIONS], _PROBE)
        self._probe = [group for group in drawn if group.completions][:_QUESTIONS]
        if self._probe and self._unadapted and (self._trainer.has_adapter or not self._changed):
            self._compare()

    def _hand_over(self) -> HandedOver:
        trainer, sampler = self._trainer, self._sampler
        if not trainer.has_adapter or self._merge or not sampler.takes_adapters:
            sampler.take_weights(trainer.weights(), self._tower_trains)
            return "weights"
        folder = tempfile.TemporaryDirectory(prefix="audio-eval-adapter-")
        trainer.write_adapter(Path(folder.name))
        sampler.take_adapter(Path(folder.name) / "vllm")
        if self._folder is not None:
            self._folder.cleanup()
        self._folder = folder  # until the next one: it may be read late
        return "adapter"

    # --- training: the trainer's -----------------------------------------------------------------------------------

    def encode(self, question: Question, text: str) -> Group:
        """The trainer's."""
        return self._trainer.encode(question, text)

    def logprobs(self, groups: Sequence[Group]) -> list[Group]:
        """The trainer's."""
        return self._trainer.logprobs(groups)

    def self_certainty(self, groups: Sequence[Group]) -> list[np.ndarray]:
        """The trainer's."""
        return self._trainer.self_certainty(groups)

    def begin_training(self, training: Training, seed: int) -> None:
        """Load the trainer, if it is not, and begin. New adapters change nothing yet."""
        self._trainer.begin_training(training, seed)
        self._in_training = True
        self._tower_trains = training.tune == "full" and training.train_tower

    def train_step(self, groups: Sequence[Group], advantages: Sequence[np.ndarray], lr_scale: float = 1.0) -> Update:
        """The trainer's, whose weights the next ``generate`` hands over. Metrics are the trainer's and those of the
        check before this step's rollouts (``sync_check``).
        """
        update = self._trainer.train_step(groups, advantages, lr_scale)
        self._changed = self._changed or update.metrics.get("updates", 1) > 0
        return update._replace(metrics=update.metrics | self._figures)

    def save(self, folder: Path) -> None:
        """The trainer's: a checkpoint is the same whatever samples."""
        self._trainer.save(folder)

    def save_weights(self, folder: Path) -> None:
        """The trainer's."""
        self._trainer.save_weights(folder)

    def checkpoint_bytes(self, weights_only: bool) -> int:
        """The trainer's."""
        return self._trainer.checkpoint_bytes(weights_only)

    @property
    def chosen(self) -> dict[str, Any]:
        """The trainer's."""
        return self._trainer.chosen

    def load(self, folder: Path) -> None:
        """The trainer's, whose weights the next ``generate`` hands over."""
        self._trainer.load(folder)
        self._changed = True

    def reset(self) -> None:
        """The sampler goes back to the unadapted model; the trainer is let go."""
        if not self._in_training:
            return
        self._loaded, self._in_training = None, False
        self._sampler.drop_weights()
        self._forget()
