"""The prompts' forward pass, done once for a batch and kept until the weights change.

Multiple-attempt sampling samples the same questions up to three times between two updates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from audio_eval.models.hf.checkpoint import Checkpoint
from audio_eval.models.hf.inputs import EmbeddedPrompt, right_pad
from audio_eval.models.hf.repeats import Repeated, repeat_prompts
from audio_eval.models.hf.tower import writes
from audio_eval.questions import Question

Layer = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Prefill:
    """Keys and values (Q, kv heads, P, head dim) of each layer, the padding mask (Q, P), last hidden states (Q, H), and
    the lengths in tokens of the Q prompts.
    """

    layers: list[Layer]
    mask_QP: torch.Tensor
    hidden_QH: torch.Tensor
    lengths: tuple[int, ...]

    def select(self, index: Sequence[int]) -> Prefill:
        """The part that belongs to these questions."""
        if list(index) == list(range(len(self.mask_QP))):
            return self
        at = torch.tensor(index, device=self.mask_QP.device)
        lengths = tuple(self.lengths[i] for i in index)
        return Prefill([(k[at], v[at]) for k, v in self.layers], self.mask_QP[at], self.hidden_QH[at], lengths)


def prefill(language_model: Any, prompts: Sequence[torch.Tensor]) -> Prefill:
    """Forward the prompts' embeddings, Q tensors (P_i, hidden)."""
    embeds_QPH, mask_QP = right_pad(prompts)
    positions_QP = mask_QP.cumsum(dim=1) - 1  # that of the last token in the padding: no row looks longer than it is
    cache: Any = DynamicCache(config=language_model.config)
    out = language_model(
        inputs_embeds=embeds_QPH, attention_mask=mask_QP, position_ids=positions_QP, past_key_values=cache,
        use_cache=True,
    )  # fmt: skip
    last_Q = mask_QP.sum(dim=1) - 1
    hidden_QH = out.last_hidden_state[torch.arange(len(prompts), device=mask_QP.device), last_Q]
    layers = [(layer.keys, layer.values) for layer in cache.layers]
    return Prefill(layers, mask_QP.bool(), hidden_QH, tuple(map(len, prompts)))


class Prefills:
    """Keeps the last batch's prefill, if it has at most ``tokens`` tokens with padding."""

    def __init__(self, tokens: int) -> None:
        self.tokens, self.computed = tokens, 0
        self.drop()

    def drop(self) -> None:
        """Free what is kept: before an update, which makes it stale and needs the memory."""
        self._of: dict[Question, int] = {}
        self._weights: tuple[tuple[int, int], ...] = ()
        self._kept: Prefill | Repeated | None = None

    def of(self, checkpoint: Checkpoint, prompts: Sequence[EmbeddedPrompt]) -> Prefill | Repeated:
        """The prefill of ``prompts``: the kept one where it has all of them and no weight has changed."""
        weights = writes(checkpoint.model.parameters())
        if self._kept is not None and weights == self._weights and all(p.question in self._of for p in prompts):
            return self._kept.select([self._of[p.question] for p in prompts])
        self.drop()  # before the forward pass: there may not be memory for two
        self.computed += len(prompts)
        fresh: Prefill | Repeated
        if checkpoint.family.engine == "plain":
            fresh = repeat_prompts(checkpoint, prompts)
        else:
            fresh = prefill(checkpoint.language_model, [prompt.embeds for prompt in prompts])
        if fresh.mask_QP.numel() <= self.tokens:
            self._kept, self._weights = fresh, weights
            self._of = {prompt.question: place for place, prompt in enumerate(prompts)}
        return fresh
