"""Decoding from shared prompts: a prompt is forwarded once, and all rows that branch off read its keys in place.

A row (R) is an unfinished answer to one question (Q). It has keys and values for its own few tokens only. Those of the
prompt are stored once per question and are not copied when rows branch or end. The attention over the two parts is
combined by their log-sum-exp, which is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface, DynamicCache

from audio_eval.models.hf.prefill import Layer, Prefill
from audio_eval.models.hf.transfer import to_device

_NAME = "audio_eval_branches"


class Branches:
    """The prompts (Q) of a batch and the rows (R) that grow from them; one row per question at the start.

    Which row belongs to which question is known on the host: nothing waits for the device, and ``advance`` makes one
    transfer to it.
    """

    def __init__(self, language_model: Any, prompts: Prefill, layer_masks: bool = True) -> None:
        self._model, self._layer_masks, self._device = language_model, layer_masks, prompts.mask_QP.device
        self._position_R = np.array(prompts.lengths)  # of the next token
        self.hidden_RH = prompts.hidden_QH
        self._owner_R = np.arange(len(prompts.lengths))
        self._shared = _Shared(prompts.layers, prompts.mask_QP, prompts.lengths)
        self._own = DynamicCache(config=language_model.config)  # for the rows' tokens, (R, kv heads, T, head dim)
        self._placed = False  # whether the device knows the places of the present rows

    def advance(self, parents: Sequence[int], tokens: Sequence[int]) -> None:
        """Make new rows: each is row ``parents[i]`` of before with ``tokens[i]`` appended. Other rows are dropped.

        Sets ``hidden_RH``, the last hidden states of the new rows. ``parents`` is in rising order.
        """
        sent = [np.array(tokens), self._position_R[list(parents)]]
        moved = list(parents) != list(range(len(self._owner_R)))
        if moved:
            self._owner_R = self._owner_R[list(parents)]
            self._drop_questions()
            sent.append(np.array(parents))
        if moved or not self._placed:
            sent += places(self._owner_R, self._shared.questions, self._shared.kv)
        token_R, position_R, *rest = to_device(sent, self._device)
        if moved:
            self._own.batch_select_indices(rest.pop(0))
        if rest:
            self._shared.place_N, self._shared.row_of_slot = rest
            self._placed = True
        with attention(self._model.config, _NAME):
            out = self._model(
                input_ids=token_R[:, None],
                # every row sees its whole prompt and all its own tokens
                attention_mask={"full_attention": None} if self._layer_masks else None,
                position_ids=position_R[:, None],
                past_key_values=self._own,
                use_cache=True,
                shared=self._shared,
            )
        self._position_R = sent[1] + 1
        self.hidden_RH = out.last_hidden_state[:, -1]

    def _drop_questions(self) -> None:
        """Drop prompts without rows once they are half of all; not sooner, since dropping copies the others."""
        live, numbered_R = np.unique(self._owner_R, return_inverse=True)
        if 2 * len(live) <= self._shared.questions:
            self._shared.select(live)
            self._owner_R = numbered_R


class _Shared:
    """Keys and values of the prompts, (Q * kv heads, P, head dim) per layer, and the places of the rows' queries."""

    def __init__(self, layers: list[Layer], mask_QP: torch.Tensor, lengths: Sequence[int]) -> None:
        self._layers, self._mask_QP, self._lengths = layers, mask_QP, np.array(lengths)
        self.place_N = self.row_of_slot = torch.empty(0, dtype=torch.long)  # see ``places``
        self._flatten()

    @property
    def questions(self) -> int:
        """The number of questions, Q."""
        return len(self._mask_QP)

    @property
    def kv(self) -> int:
        """The number of key heads."""
        return self._layers[0][0].shape[1]

    def select(self, live: np.ndarray) -> None:
        """Keep only these questions, and only as many positions as they need."""
        [questions] = to_device([live], self._mask_QP.device)
        self._lengths = self._lengths[live]
        longest = int(self._lengths.max())
        self._mask_QP = self._mask_QP[questions][:, :longest]
        self._layers = [(k[questions, :, :longest], v[questions, :, :longest]) for k, v in self._layers]
        self._flatten()

    def _flatten(self) -> None:
        self.bias = _bias(self._mask_QP).repeat_interleave(self.kv, dim=0)
        self.layers = [(k.flatten(0, 1), v.flatten(0, 1)) for k, v in self._layers]


def places(owner_R: np.ndarray, questions: int, kv: int, rounded: Callable[[int], int] = int) -> list[np.ndarray]:
    """Where the rows' queries stand in a grid of ``questions`` x ``kv`` heads x slots.

    There are as many slots as any question has rows, ``rounded``. Returns the place (R * kv,) in the grid of each row
    and head, and the row and head in each place of it; 0 in those that stay empty. ``owner_R``, the question of each
    row, is in rising order.
    """
    counts_Q = np.bincount(owner_R, minlength=questions)
    slots, rows, heads = rounded(counts_Q.max()), np.arange(len(owner_R)), np.arange(kv)
    slot_R = rows - (counts_Q.cumsum() - counts_Q)[owner_R]
    place_RK = (owner_R[:, None] * kv + heads) * slots + slot_R[:, None]
    row_of_slot = np.zeros(questions * kv * slots, dtype=np.int64)
    row_of_slot[place_RK] = rows[:, None] * kv + heads
    return [place_RK.ravel(), row_of_slot]


def _bias(mask_QP: torch.Tensor) -> torch.Tensor:
    """The bias that masks the padding in attention scores, float32 (Q, 1, P)."""
    bias = torch.zeros(mask_QP.shape, device=mask_QP.device)
    return bias.masked_fill(~mask_QP, torch.finfo(bias.dtype).min)[:, None, :]


def _branch_attention(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: None, *, scaling: float,
    shared: _Shared, **_: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Attention of queries (R, heads, 1, D) over their prompts and their own keys (R, kv heads, T, D).

    N below are the pairs of a row and a key head, G the query heads that share a key head.
    """
    keys, values = shared.layers[module.layer_idx]
    rows, heads, _one, dim = query.shape
    group = heads // shared.kv
    query_NGD = (query * scaling).view(rows * shared.kv, group, dim)
    own, own_lse = _attend(query_NGD, key.flatten(0, 1), value.flatten(0, 1))
    # the rows of a question are put side by side, so that its prompt is read once for all of them
    spread = query_NGD.index_select(0, shared.row_of_slot).view(len(keys), -1, dim)
    heard, heard_lse = _attend(spread, keys, values, shared.bias)

    def of_rows(t: torch.Tensor) -> torch.Tensor:
        return t.view(-1, group, t.shape[-1]).index_select(0, shared.place_N)

    weight = torch.sigmoid(of_rows(heard_lse) - own_lse)  # the share of attention on the prompt
    out = weight * of_rows(heard) + (1 - weight) * own
    return out.to(query.dtype).view(rows, 1, heads, dim), None


def _attend(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention (B, n, D) of queries (B, n, D) over keys (B, m, D), and the log-sum-exp (B, n, 1) of its scores."""
    scores = torch.bmm(query, keys.transpose(1, 2))
    scores = (scores if bias is None else scores + bias).float()
    top = scores.amax(dim=-1, keepdim=True)
    shares = scores.sub_(top).exp_()
    total = shares.sum(dim=-1, keepdim=True)
    return torch.bmm(shares.to(values.dtype), values) / total, total.log() + top


@contextmanager
def attention(config: Any, name: str) -> Iterator[None]:
    """Let the language model use the attention of this name inside the context."""
    before = config._attn_implementation
    config._attn_implementation = name
    try:
        yield
    finally:
        config._attn_implementation = before


AttentionInterface.register(_NAME, _branch_attention)
