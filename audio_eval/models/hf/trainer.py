"""Trainer: a checkpoint's weights in training with their optimizer. A policy has one from ``begin_training`` on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.models.hf import adapters
from audio_eval.models.hf.inputs import QuestionEncoder
from audio_eval.models.hf.learner import METRICS, Learner, Step, mini_batches
from audio_eval.models.hf.logprobs import LogprobEngine
from audio_eval.models.hf.optimizer import (
    OffloadedAdamW,
    load_optimizer,
    make_optimizer,
    save_optimizer,
    state_tensors,
    update,
)
from audio_eval.models.hf.question_batches import card_bytes
from audio_eval.models.hf.reference import Reference
from audio_eval.models.hf.room import settled
from audio_eval.models.hf.tensors import size_of
from audio_eval.models.policy import DROPPED, Training, Update

OPTIMIZER = "optimizer.safetensors"


class Trainer:
    """Attaches adapters, whose start depends on ``seed``, or unfreezes weights; and sets up AdamW.

    ``max_tokens`` is the policy's longest completion, the constant of ``dr_grpo``; ``before_updates`` is called when
    weights are about to change. ``names`` are those of the parameters in training; ``chosen`` are settings that were
    left open and follow from the device's memory.
    """

    def __init__(
        self,
        encoder: QuestionEncoder,
        training: Training,
        seed: int,
        max_tokens: int,
        precision: Callable[[], AbstractContextManager[Any]],
        before_updates: Callable[[], None],
    ) -> None:
        self._before_updates, self.checkpoint = before_updates, encoder.checkpoint
        model = self.checkpoint.model
        self.peft: Any = None
        if training.tune == "lora":
            self.peft = adapters.attach_lora(self.checkpoint, training, seed)
        else:
            adapters.unfreeze(self.checkpoint, training)
            encoder.frozen = not training.train_tower
        self.names: dict[torch.nn.Parameter, str] = {p: n for n, p in model.named_parameters() if p.requires_grad}
        self._reference = Reference(self.names) if training.beta > 0 and self.peft is None else None
        asked, memory = training, card_bytes(self.checkpoint.device)
        self.training = training = settled(asked, self.checkpoint, self.names, memory)
        self.chosen = {k: v for k, v in dict(training).items() if v != getattr(asked, k)} if memory else {}
        self.optimizer = make_optimizer(training, list(self.names))
        self.scorer = LogprobEngine(encoder, training, precision)
        self.learner = Learner(self.scorer, training, list(self.names), max_tokens)

    def step(self, groups: Sequence[Group], advantages: Sequence[np.ndarray], lr_scale: float = 1.0) -> Update:
        """``HFPolicy.train_step``. An update whose loss or gradient is not finite is not made, and counted.

        ``UserError`` where the weights are not finite after an update: they are not to be used any more.
        """
        training = self.training
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = training.lr * lr_scale
        retries = self.scorer.budget.retries
        parts = [self.learner.gather(*part) for part in mini_batches(groups, advantages, training.mini_batch)]
        failed = {id_: why for part in parts for id_, why in part.batch.failed.items()}
        drawn, cut = sum(part.totals.completions for part in parts), sum(part.truncated for part in parts)
        stats = dict.fromkeys((*METRICS, "grad_norm", "oom_retries", "updates"), 0.0)
        stats["truncated"] = cut / max(drawn, 1)
        parts = [part for part in parts if part.batch.tokens]
        if not parts:
            return Update(stats, failed)
        self._before_updates()
        updates, dropped = training.inner_updates * len(parts), 0
        references = self._score_references(parts) if training.beta > 0 else [None] * len(parts)
        olds = [self.scorer.logprobs(part.batch) if updates > 1 else None for part in parts]
        for _ in range(training.inner_updates):
            found = []
            for part, old, reference in zip(parts, olds, references, strict=True):
                of_part = self.learner.backward(part, old, reference)
                of_part["grad_norm"] = float(torch.nn.utils.clip_grad_norm_(list(self.names), training.max_grad_norm))
                if math.isfinite(of_part["loss"]) and math.isfinite(of_part["grad_norm"]):
                    self.optimizer = update(self.optimizer)
                    found.append(of_part)
                else:
                    dropped += 1
                self.optimizer.zero_grad(set_to_none=True)
        if dropped:
            stats[DROPPED] = float(dropped)
        if dropped < updates and not self._finite():
            raise UserError(
                "the weights are not finite after an update (NaN or infinite), and are given up: audio-eval resume "
                "goes on from the last checkpoint. A smaller lr may help."
            )
        for name in (*METRICS, "grad_norm"):
            if found:
                stats[name] = sum(one[name] for one in found) / len(found)
            else:
                del stats[name]
        if training.optimizer == "adamw" and isinstance(self.optimizer, OffloadedAdamW):
            stats["moments_on_host"] = 1.0  # the device has no room for them
        stats |= {"updates": float(updates - dropped), "oom_retries": float(self.scorer.budget.retries - retries)}
        return Update(stats, failed)

    def _finite(self) -> bool:
        """Whether every trained weight is a finite number; nothing is copied."""
        ends = [end for parameter in self.names for end in torch.aminmax(parameter.detach())]
        return bool(torch.stack([end.float() for end in ends]).isfinite().all())

    def _score_references(self, parts: Sequence[Step]) -> list[list[torch.Tensor]]:
        """Log-probabilities under the unadapted model: adapters off, or the starting weights back for a moment."""
        unadapted = self._reference.in_place() if self._reference else self.peft.disable_adapter()
        with unadapted:
            return [self.scorer.logprobs(part.batch) for part in parts]

    def take_off(self) -> bool:
        """Take adapters off, under which the weights are as they were; False where the weights themselves changed."""
        if self.peft is None:
            return False
        self.peft.unload()
        return True

    def save(self, folder: Path, weights_only: bool = False) -> None:
        """Trained weights (``adapter*.safetensors``) and, unless ``weights_only``, ``optimizer.safetensors``."""
        folder.mkdir(parents=True, exist_ok=True)
        adapters.save_adapter(folder, self.checkpoint, self.peft)
        if not weights_only:
            save_optimizer(folder / OPTIMIZER, self.optimizer, self.names)

    def bytes(self, weights_only: bool) -> int:
        """Size of what ``save`` writes; adapters are written twice."""
        weights = size_of({name: tensor for tensor, name in self.names.items()}) * (1 if self.peft is None else 2)
        return weights if weights_only else weights + size_of(state_tensors(self.optimizer, self.names))

    def load(self, folder: Path) -> None:
        """Read back what ``save`` wrote, with the same settings."""
        adapters.load_adapter(folder, self.checkpoint.model, self.peft)
        if (folder / OPTIMIZER).is_file():  # the last checkpoint of a training has none
            load_optimizer(folder / OPTIMIZER, self.optimizer, self.names)
