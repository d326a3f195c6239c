"""A head whose logits are changed after the linear layer: capped in Gemma, divided in Granite Speech."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Head:
    """The linear layer, and what becomes of its logits (.., vocabulary)."""

    linear: torch.nn.Linear
    after: Callable[[torch.Tensor], torch.Tensor]

    @property
    def weight(self) -> torch.Tensor:
        """The linear layer's (vocabulary, hidden)."""
        return self.linear.weight

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits (.., vocabulary) of hidden states (.., hidden)."""
        return self.after(self.linear(hidden))
