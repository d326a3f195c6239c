"""How a policy's rows decode: with which weights, at which precision, in shapes of which kind, captured or not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from audio_eval.models.hf.branches import Branches
from audio_eval.models.hf.checkpoint import Checkpoint
from audio_eval.models.hf.graphs import Capture, Graphs
from audio_eval.models.hf.prefill import Prefill
from audio_eval.models.hf.question_batches import card_bytes, questions_that_fit
from audio_eval.models.hf.repeats import Repeated, Repeats
from audio_eval.models.hf.rollout_weights import RolloutWeights
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.hf.static_branches import Memory, StaticBranches
from audio_eval.models.policy import Sampling

log = logging.getLogger(__name__)
_AUTOCAST = "weights of another dtype run under autocast, which would convert them in every step"


class Decoding:
    """Of a checkpoint whose weights were loaded in ``dtype``."""

    def __init__(self, checkpoint: Checkpoint, settings: EngineSettings, dtype: torch.dtype) -> None:
        self.checkpoint, self._settings, self._dtype = checkpoint, settings, dtype
        self.merged: RolloutWeights | None = None
        self._seen: tuple[int, ...] = ()  # the addresses of the weights that the graphs know
        reason = no_graphs(checkpoint, settings)
        if reason and settings.cuda_graphs is True:
            log.warning("cuda_graphs=true: %s.", reason)
        self.graphs = Graphs(None if reason else Capture(checkpoint.device), reason)
        self._memory = Memory(self.graphs, checkpoint.device)

    @property
    def without_graphs(self) -> str | None:
        """Why steps run without CUDA graphs now; None: they run with them."""
        return self.graphs.reason or (None if self._pure() else _AUTOCAST)

    def adapt(self, peft_model: Any) -> None:
        """The model was given adapters; whether they are merged for sampling is a setting."""
        wanted = self._settings.merge_rollouts
        if wanted is True or (wanted == "auto" and self.checkpoint.device.type == "cuda"):
            self.merged = RolloutWeights(peft_model)

    def most_questions(self, wanted: int, sampling: Sampling) -> int:
        """So many of the questions that are ``wanted`` in a batch as the card has room for; all of them on a CPU."""
        total = card_bytes(self.checkpoint.device)
        if total is None:
            return wanted
        assert sampling.max_tokens is not None, "the policy has filled in its own limit"
        samples = sampling.n if sampling.temperature else 1
        budget = self._settings.token_budget
        return min(wanted, questions_that_fit(self.checkpoint, total, budget, samples, sampling.max_tokens))

    @contextmanager
    def weights(self) -> Iterator[None]:
        """The weights to sample with inside, those to train and to score with outside."""
        with self.merged.merged() if self.merged else nullcontext():
            seen = tuple(parameter.data_ptr() for parameter in self._used())
            if seen != self._seen:
                self.graphs.drop()
                self._seen = seen
            yield

    def precision(self) -> AbstractContextManager[Any]:
        """Where every weight has the dtype that the model was loaded in, autocast is off.

        The numbers are then those of transformers' own forward of a model in this dtype: matrix products in it, and
        norms, rotary angles and softmax in float32 where a module says so.
        """
        return torch.autocast(self.checkpoint.device.type, enabled=False) if self._pure() else nullcontext()

    def start(self, prompts: Prefill | Repeated) -> Branches | StaticBranches | Repeats:
        """The rows that will grow from these prompts, one per question."""
        checkpoint = self.checkpoint
        if isinstance(prompts, Repeated):
            return Repeats(checkpoint, prompts)
        model, layer_masks = checkpoint.language_model, checkpoint.family.layer_masks
        why = self.without_graphs
        if why is None or self._settings.static_shapes:
            graphs = Graphs(None, why) if why else self.graphs
            try:
                return StaticBranches(model, prompts, self._memory, graphs, layer_masks)
            except torch.OutOfMemoryError:
                self.graphs.give_up("memory was short for static shapes")
        return Branches(model, prompts, layer_masks)

    def _used(self) -> Iterator[torch.nn.Parameter]:
        """The weights that a token step reads."""
        unused = {id(factor) for factor in self.merged.factors} if self.merged else ()
        for module in (self.checkpoint.language_model, self.checkpoint.head):
            for parameter in getattr(module, "linear", module).parameters():
                if id(parameter) not in unused:
                    yield parameter

    def _pure(self) -> bool:
        return all(parameter.dtype == self._dtype for parameter in self._used())


def no_graphs(checkpoint: Checkpoint, settings: EngineSettings) -> str | None:
    """Why the steps of this model are not to be captured as CUDA graphs; None: trying shows whether they can be."""
    family = checkpoint.family
    if settings.cuda_graphs is False:
        return "cuda_graphs=false"
    if family.engine == "plain":
        return f"{family.name} repeats its prompts, and its caches grow with every token"
    if checkpoint.device.type != "cuda":
        return f"the model is on '{checkpoint.device.type}', and only CUDA has graphs"
    return None
