"""Decoding from shared prompts: a prompt is forwarded once, and all rows that branch off read its keys in place.

A row (R) is an unfinished answer to one question (Q). It has keys and values for its own few tokens only. Those of the
prompt are stored once per question and are not copied when rows branch or end. The attention over the two parts is
combined by their log-sum-exp, which is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, DynamicCache

from audio_eval.models.hf.prefill import Layer, Prefill

_NAME = "audio_eval_branches"


class Branches:
    """The prompts (Q) of a batch and the rows (R) that grow from them; one row per question at the start."""

    def __init__(self, language_model: Any, prompts: Prefill, layer_masks: bool = True) -> None:
        self._model, self._layer_masks = language_model, layer_masks
        self.position_R = prompts.mask_QP.sum(dim=1)  # of the next token
        self.hidden_RH = prompts.hidden_QH
        self._owner_R = torch.arange(len(self.position_R), device=self.position_R.device)
        self._shared = _Shared(prompts.layers, prompts.mask_QP)
        self._own = DynamicCache(config=language_model.config)  # for the rows' tokens, (R, kv heads, T, head dim)

    def advance(self, parents: Sequence[int], tokens: Sequence[int]) -> None:
        """Make new rows: each is row ``parents[i]`` of before with ``tokens[i]`` appended. Other rows are dropped.

        Sets ``hidden_RH``, the last hidden states of the new rows. ``parents`` is in rising order.
        """
        device = self._owner_R.device
        if list(parents) != list(range(len(self._owner_R))):
            index = torch.tensor(parents, device=device)
            self._own.batch_select_indices(index)
            self._owner_R, self.position_R = self._owner_R[index], self.position_R[index]
            self._drop_questions()
        self._shared.place(self._owner_R)
        with _attention(self._model.config):
            out = self._model(
                input_ids=torch.tensor(tokens, device=device)[:, None],
                # every row sees its whole prompt and all its own tokens
                attention_mask={"full_attention": None} if self._layer_masks else None,
                position_ids=self.position_R[:, None],
                past_key_values=self._own,
                use_cache=True,
                shared=self._shared,
            )
        self.position_R = self.position_R + 1
        self.hidden_RH = out.last_hidden_state[:, -1]

    def _drop_questions(self) -> None:
        """Drop prompts without rows once they are half of all; not sooner, since dropping copies the others."""
        live, numbered_R = self._owner_R.unique(return_inverse=True)
        if 2 * len(live) <= self._shared.questions:
            self._shared.select(live)
            self._owner_R = numbered_R


class _Shared:
    """Keys and values of the prompts, (Q, kv heads, P, head dim) per layer, and the place of each row's query."""

    def __init__(self, layers: list[Layer], mask_QP: torch.Tensor) -> None:
        self.layers, self._mask_QP = layers, mask_QP
        self.bias = _bias(mask_QP)
        self.slots = 1  # the number of rows of the question that has most
        self.place_R = torch.empty(0, dtype=torch.long)

    @property
    def questions(self) -> int:
        """The number of questions, Q."""
        return len(self._mask_QP)

    def select(self, questions: torch.Tensor) -> None:
        """Keep only these questions, and only as many positions as they need."""
        self._mask_QP = self._mask_QP[questions]
        longest = int(self._mask_QP.sum(dim=1).max())
        self._mask_QP = self._mask_QP[:, :longest]
        self.bias = _bias(self._mask_QP)
        self.layers = [(k[questions, :, :longest], v[questions, :, :longest]) for k, v in self.layers]

    def place(self, owner_R: torch.Tensor) -> None:
        """Number the rows within their questions; ``owner_R`` is in rising order."""
        counts_Q = torch.bincount(owner_R, minlength=self.questions)
        first_Q = counts_Q.cumsum(0) - counts_Q
        self.slots = int(counts_Q.max())
        self.place_R = owner_R * self.slots + torch.arange(len(owner_R), device=owner_R.device) - first_Q[owner_R]


def _bias(mask_QP: torch.Tensor) -> torch.Tensor:
    """The bias that masks the padding in attention scores, float32 (Q, 1, 1, P)."""
    bias = torch.zeros(mask_QP.shape, device=mask_QP.device)
    return bias.masked_fill(~mask_QP, torch.finfo(bias.dtype).min)[:, None, None, :]


def _branch_attention(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: None, *, scaling: float,
    shared: _Shared, **_: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Attention of queries (R, heads, 1, D) over their prompts and their own keys (R, kv heads, T, D)."""
    keys, values = shared.layers[module.layer_idx]
    rows, heads, _one, dim = query.shape
    questions, kv = keys.shape[:2]
    group = heads // kv
    query_RKGD = (query * scaling).view(rows, kv, group, dim)
    own, own_lse = _attend(query_RKGD, key, value)
    # the rows of a question are put side by side, so that its prompt is read once for all of them
    spread = query.new_zeros(questions * shared.slots, kv, group, dim).index_copy(0, shared.place_R, query_RKGD)
    spread = spread.view(questions, shared.slots, kv, group, dim).transpose(1, 2).flatten(2, 3)
    heard, heard_lse = _attend(spread, keys, values, shared.bias)

    def of_rows(t: torch.Tensor) -> torch.Tensor:
        back = t.view(questions, kv, shared.slots, group, t.shape[-1]).transpose(1, 2).flatten(0, 1)
        return back[shared.place_R]

    weight = torch.sigmoid(of_rows(heard_lse) - own_lse)  # the share of attention on the prompt
    out = weight * of_rows(heard) + (1 - weight) * own
    return out.to(query.dtype).view(rows, 1, heads, dim), None


def _attend(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention (.., n, D) of queries (.., n, D) over keys (.., m, D), and the log-sum-exp (.., n, 1) of its scores."""
    scores = query @ keys.transpose(-1, -2)
    scores = (scores if bias is None else scores + bias).float()
    top = scores.amax(dim=-1, keepdim=True)
    shares = scores.sub_(top).exp_()
    total = shares.sum(dim=-1, keepdim=True)
    return (shares.to(values.dtype) @ values) / total, total.log() + top


@contextmanager
def _attention(config: Any) -> Iterator[None]:
    """Let the language model use ``_branch_attention`` inside the context."""
    before = config._attn_implementation
    config._attn_implementation = _NAME
    try:
        yield
    finally:
        config._attn_implementation = before


AttentionInterface.register(_NAME, _branch_attention)
