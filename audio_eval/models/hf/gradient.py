"""Log-probabilities of unique completions, with gradient; each question's prompt is forwarded once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from audio_eval.models.hf.checkpoint import Checkpoint
from audio_eval.models.hf.head import self_certainty, token_logprobs
from audio_eval.models.hf.layout import Packed, SharedPrefix, pack

FULL_ATTENTION = "full_attention"  # transformers' name for the layer type; a layer looks up its mask under it


@dataclass
class Scored:
    """Token log-probabilities (U, T), the mask of real tokens (U, T), the entropy (U, T) of their distributions; and,
    without gradient, whether each token is the most probable one (U, T).

    The distributions are those at the temperature of each row. U counts the completions of all rows in order. Padding
    holds zeros.
    """

    logprobs_UT: torch.Tensor
    mask_UT: torch.Tensor
    entropy_UT: torch.Tensor
    greedy_UT: torch.Tensor


def score_rows(
    checkpoint: Checkpoint,
    rows: Sequence[SharedPrefix],
    chunk: int,
    checkpointing: bool = False,
    entropy_gradient: bool = False,
) -> Scored:
    """Forward ``rows``; the head runs on at most ``chunk`` completion positions at a time.

    ``checkpointing`` keeps only the input of each layer and computes the rest again in the backward pass; call the
    language model's ``activation_checkpointing_enable`` first. ``entropy_gradient``: the entropy carries a gradient.
    """
    packed, predicting_NH = _forward(checkpoint, rows, checkpointing)
    found_N = token_logprobs(
        checkpoint.head, predicting_NH, packed.targets_N, packed.temperatures_N, chunk, entropy_gradient
    )
    longest = torch.arange(int(packed.lengths_U.max()), device=predicting_NH.device)
    mask_UT = longest[None, :] < packed.lengths_U[:, None]
    logprobs_UT, entropy_UT, greedy_UT = (
        torch.zeros(mask_UT.shape, device=of_N.device, dtype=of_N.dtype).masked_scatter(mask_UT, of_N)
        for of_N in found_N
    )
    return Scored(logprobs_UT, mask_UT, entropy_UT, greedy_UT)


@torch.no_grad()
def certainty_rows(checkpoint: Checkpoint, rows: Sequence[SharedPrefix], chunk: int) -> torch.Tensor:
    """Self-certainty (U,) of the completions of all rows in order: the mean over the tokens of each."""
    packed, predicting_NH = _forward(checkpoint, rows, checkpointing=False)
    certainty_N = self_certainty(checkpoint.head, predicting_NH, chunk)
    return torch.stack([tokens.mean() for tokens in certainty_N.split(packed.lengths_U.tolist())])


def _forward(checkpoint: Checkpoint, rows: Sequence[SharedPrefix], checkpointing: bool) -> tuple[Packed, torch.Tensor]:
    """The rows' layout, and the hidden states (N, hidden) that predict their N completion tokens."""
    language_model, family = checkpoint.language_model, checkpoint.family
    packed = pack(rows, checkpoint.embed)
    more: dict[str, torch.Tensor] = {}
    mask: Any
    if family.engine == "plain":
        assert packed.ids_RL is not None, "rows carry the ids of their prompts"
        mask, more = packed.mask_RL, family.language_inputs(checkpoint.model, packed.ids_RL)
    else:
        mask = {FULL_ATTENTION: packed.bias_R1LL} if family.layer_masks else packed.bias_R1LL
    with _checkpointed(language_model, checkpointing and torch.is_grad_enabled()):
        hidden_RLH = language_model(
            inputs_embeds=packed.embeds_RLH,
            attention_mask=mask,
            position_ids=packed.positions_RL,
            use_cache=False,
            **more,
        ).last_hidden_state
    return packed, hidden_RLH[packed.rows_N, packed.columns_N]


@contextmanager
def _checkpointed(language_model: Any, on: bool) -> Iterator[None]:
    """Turn checkpointing on for the layers; transformers does it for layers in training mode only.

    Only the layers' own flag is set: the modules inside stay in evaluation mode, without dropout. It is set back
    afterwards, since a checkpointing layer ignores the key-value cache that sampling needs.
    """
    for layer in language_model.layers if on else ():
        layer.training = True
    try:
        yield
    finally:
        for layer in language_model.layers if on else ():
            layer.training = False
