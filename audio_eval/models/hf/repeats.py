"""Decoding from repeated prompts, for language models that `branches` does not fit (sliding windows, shared keys).

Every row has its prompt's keys and its own in an ordinary cache under an ordinary mask. It costs a copy of the prompt's
keys for each row; what it computes is the same, and so are the draws (tests/models/test_repeats.py). Prompts are padded
on the left, as a window counts positions of the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from audio_eval.models.hf.checkpoint import Checkpoint
from audio_eval.models.hf.inputs import EmbeddedPrompt


@dataclass(frozen=True)
class Repeated:
    """The cache of prompts (Q) that were forwarded, the padding mask (Q, P), their last hidden states (Q, H)."""

    cache: Any
    mask_QP: torch.Tensor
    hidden_QH: torch.Tensor

    def select(self, index: Sequence[int]) -> Repeated:
        """The part that belongs to these questions; a copy, as a cache grows in place."""
        at, cache = torch.tensor(index, device=self.mask_QP.device), deepcopy(self.cache)
        cache.batch_select_indices(at)
        return Repeated(cache, self.mask_QP[at], self.hidden_QH[at])


def repeat_prompts(checkpoint: Checkpoint, prompts: Sequence[EmbeddedPrompt]) -> Repeated:
    """Forward the prompts, padded on the left."""
    model = checkpoint.language_model
    embeds_QPH = torch.nn.utils.rnn.pad_sequence([p.embeds for p in prompts], batch_first=True, padding_side="left")
    ids_QP = torch.nn.utils.rnn.pad_sequence([p.ids for p in prompts], batch_first=True, padding_side="left")
    lengths_Q = torch.tensor([len(p.ids) for p in prompts], device=ids_QP.device)
    longest = ids_QP.shape[1]
    mask_QP = (torch.arange(longest, device=ids_QP.device)[None, :] >= longest - lengths_Q[:, None]).long()
    cache: Any = DynamicCache(config=model.config)
    out = model(
        inputs_embeds=embeds_QPH, attention_mask=mask_QP, position_ids=(mask_QP.cumsum(dim=1) - 1).clamp(min=0),
        past_key_values=cache, use_cache=True, **checkpoint.family.language_inputs(checkpoint.model, ids_QP),
    )  # fmt: skip
    return Repeated(cache, mask_QP, out.last_hidden_state[:, -1])


class Repeats:
    """The rows (R) that grow from prompts; one per question at the start. The same interface as ``Branches``."""

    def __init__(self, checkpoint: Checkpoint, prompts: Repeated) -> None:
        self._checkpoint = checkpoint
        self._cache, self._mask_RL = deepcopy(prompts.cache), prompts.mask_QP
        self.position_R = prompts.mask_QP.sum(dim=1)  # of the next token
        self.hidden_RH = prompts.hidden_QH

    def advance(self, parents: Sequence[int], tokens: Sequence[int]) -> None:
        """Make new rows: each is row ``parents[i]`` of before with ``tokens[i]`` appended. Other rows are dropped."""
        checkpoint, device = self._checkpoint, self._mask_RL.device
        if list(parents) != list(range(len(self._mask_RL))):
            index = torch.tensor(parents, device=device)
            self._cache.batch_select_indices(index)
            self._mask_RL, self.position_R = self._mask_RL[index], self.position_R[index]
        ids_R1 = torch.tensor(tokens, device=device)[:, None]
        self._mask_RL = torch.cat([self._mask_RL, torch.ones_like(ids_R1)], dim=1)
        out = checkpoint.language_model(
            inputs_embeds=checkpoint.embed(ids_R1), attention_mask=self._mask_RL, position_ids=self.position_R[:, None],
            past_key_values=self._cache, use_cache=True,
            **checkpoint.family.language_inputs(checkpoint.model, ids_R1),
        )  # fmt: skip
        self.position_R = self.position_R + 1
        self.hidden_RH = out.last_hidden_state[:, -1]
