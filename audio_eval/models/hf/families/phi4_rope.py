"""Phi-4's rotary embeddings, chosen for each row by its own length.

A sequence of more than 4096 tokens (``original_max_position_embeddings``) has other frequencies than a shorter one.
transformers chooses them by the longest row of a batch, so that an answer would depend on the other questions in it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS


class RowwiseLongRope(nn.Module):
    """Takes the place of ``theirs``, a Phi4MultimodalRotaryEmbedding of the type longrope.

    A decoding step sees only its own position: an answer that runs past the limit has the long frequencies from there
    on, whereas transformers would compute the whole sequence anew.
    """

    short: torch.Tensor
    long: torch.Tensor

    def __init__(self, theirs: Any) -> None:
        super().__init__()
        self._limit = theirs.config.rope_parameters["original_max_position_embeddings"]
        self._scaling = theirs.attention_scaling
        short = theirs.original_inv_freq
        long, _ = ROPE_INIT_FUNCTIONS["longrope"](theirs.config, short.device, seq_len=self._limit + 1)
        self.register_buffer("short", short.float(), persistent=False)
        self.register_buffer("long", long.float(), persistent=False)

    @torch.no_grad()
    def forward(self, x: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines (R, L, rotary dimensions) at positions (R, L), in the precision of ``x``."""
        is_long_R = position_ids.amax(dim=-1) >= self._limit
        inverse_RD = torch.where(is_long_R[:, None], self.long, self.short)
        angles_RLD = position_ids[..., None].float() * inverse_RD[:, None, :]
        angles_RLD = torch.cat([angles_RLD, angles_RLD], dim=-1)
        cosines, sines = angles_RLD.cos() * self._scaling, angles_RLD.sin() * self._scaling
        return cosines.to(x.dtype), sines.to(x.dtype)
