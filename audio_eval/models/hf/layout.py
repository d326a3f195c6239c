"""Rows for the shared-prefix forward pass: a question's prompt once, followed by its unique completions.

    row        p p p p | a a a | b b | c c c c | padding
    position   0 1 2 3   4 5 6   4 5   4 5 6 7

A language model that cannot be given such a mask gets rows of one completion each, which are ordinary ones.

A completion attends to its prompt and itself, not to the other completions, and its positions follow the prompt's.
So every token gets the hidden state that it would have in a row of its own. One causal pass over such rows needs no
key-value cache, and activation checkpointing works as usual (figures: docs/engine.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from audio_eval.models.hf.inputs import right_pad

ALIGN = 8  # CUDA's attention copies a mask in every layer unless its row length is a multiple of this
PADDING = -1  # segment of the padding; 0 is the prompt, 1 and up are the completions


@dataclass
class SharedPrefix:
    """A prompt's embeddings (P, hidden), the tokens of completions that follow it, and the temperature they had.

    ``ids`` (P,) are what the embeddings stand for; a language model that shares no prompts may ask for them.
    """

    prompt: torch.Tensor
    completions: list[tuple[int, ...]]
    temperature: float = 1.0
    ids: torch.Tensor | None = None


@dataclass
class Packed:
    """Rows (R) of padded length L, and where the N completion tokens are predicted.

    ``segments_RL`` says which part of its row a token belongs to. Token ``targets_N[n]`` is predicted at row
    ``rows_N[n]``, column ``columns_N[n]``. The N tokens are those of the completions in order, ``lengths_U`` tokens
    each. ``temperatures_N`` are those that they were sampled at. ``ids_RL`` are what the embeddings stand for.
    """

    embeds_RLH: torch.Tensor
    segments_RL: torch.Tensor
    positions_RL: torch.Tensor
    ids_RL: torch.Tensor | None
    rows_N: torch.Tensor
    columns_N: torch.Tensor
    targets_N: torch.Tensor
    temperatures_N: torch.Tensor
    lengths_U: torch.Tensor

    @cached_property
    def bias_R1LL(self) -> torch.Tensor:
        """What is added to the attention scores, so that a completion sees its prompt and itself."""
        return _bias(self.segments_RL, self.embeds_RLH.dtype)

    @property
    def mask_RL(self) -> torch.Tensor:
        """1 at real tokens: all that a row of one completion needs besides a causal mask."""
        return (self.segments_RL != PADDING).long()


def row_length(prompt: int, completions: Sequence[int]) -> int:
    """Tokens of a row. Of each completion the last one is left out: nothing is predicted from it."""
    return prompt + sum(length - 1 for length in completions)


def pack(rows: Sequence[SharedPrefix], embed: Any) -> Packed:
    """Lay out the rows; ``embed`` is the model's embedding of token ids."""
    device = rows[0].prompt.device
    embeds, spelled, segments, positions, row_at, column_at = [], [], [], [], [], []
    for r, row in enumerate(rows):
        prompt = len(row.prompt)
        inner = [len(tokens) - 1 for tokens in row.completions]
        ids = [token for tokens in row.completions for token in tokens[:-1]]
        embeds.append(_append(row.prompt, ids, embed))
        if row.ids is not None:
            spelled.append(np.concatenate([row.ids.cpu().numpy(), np.array(ids, dtype=np.int64)]))
        segments.append(np.repeat(np.arange(len(inner) + 1), [prompt, *inner]))
        positions.append(np.concatenate([np.arange(prompt), *(np.arange(prompt, prompt + n) for n in inner)]))
        start = prompt
        for n in inner:
            # the prompt's last token predicts the first token of each completion
            column_at += [prompt - 1, *range(start, start + n)]
            row_at += [r] * (n + 1)
            start += n
    embeds_RLH, _ = right_pad(embeds)
    length = -(-embeds_RLH.shape[1] // ALIGN) * ALIGN
    embeds_RLH = torch.nn.functional.pad(embeds_RLH, (0, 0, 0, length - embeds_RLH.shape[1]))
    completions = [tokens for row in rows for tokens in row.completions]
    temperatures = [row.temperature for row in rows for tokens in row.completions for _ in tokens]
    return Packed(
        embeds_RLH,
        _stack(segments, length, PADDING, device),
        _stack(positions, length, 0, device),
        _stack(spelled, length, 0, device) if spelled else None,
        torch.tensor(row_at, device=device),
        torch.tensor(column_at, device=device),
        torch.tensor([token for tokens in completions for token in tokens], device=device),
        torch.tensor(temperatures, device=device),
        torch.tensor([len(tokens) for tokens in completions], device=device),
    )


def _append(prompt_PH: torch.Tensor, ids: list[int], embed: Any) -> torch.Tensor:
    if not ids:
        return prompt_PH
    return torch.cat([prompt_PH, embed(torch.tensor(ids, device=prompt_PH.device)).to(prompt_PH.dtype)])


def _stack(rows: Sequence[np.ndarray], length: int, fill: int, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(
        np.stack([np.pad(row, (0, length - len(row)), constant_values=fill) for row in rows])
    ).to(device)  # fmt: skip


def _bias(segments_RL: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(R, 1, L, L): 0 where a query sees a key, the lowest number elsewhere.

    With a boolean mask, attention would make a bias of its own in every layer and keep all of them for the backward
    pass. For the same reason the bias has the dtype that attention computes in.
    """
    device = segments_RL.device
    if torch.is_autocast_enabled(device.type):
        dtype = torch.get_autocast_dtype(device.type)
    query, key = segments_RL[:, :, None], segments_RL[:, None, :]
    # padding sees the prompt too, so that no row of scores is empty; its hidden states are not used
    seen = ((key == 0) | (key == query)).tril()
    return torch.zeros(seen.shape, device=device, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)[:, None]
