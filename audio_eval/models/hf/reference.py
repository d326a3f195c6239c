"""The weights before a full fine-tuning, towards which its KL term draws: kept small, and put in place to score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch


class Reference:
    """Copies of ``parameters`` as they are now, with a GPU in pinned host memory.

    Where bfloat16 loses nothing, as with a checkpoint in it, they are in bfloat16.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        self._kept = {parameter: _kept(parameter.detach()) for parameter in parameters}

    @property
    def bytes(self) -> int:
        """Memory that the copies take."""
        return sum(tensor.nbytes for tensor in self._kept.values())

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The parameters have the values that were kept. Their own tensors are put aside, and are not copied."""
        own = {parameter: parameter.data for parameter in self._kept}
        try:
            for parameter, kept in self._kept.items():
                parameter.data = kept.to(parameter.device, parameter.dtype)
            yield
        finally:
            for parameter, tensor in own.items():
                parameter.data = tensor


def _kept(tensor: torch.Tensor) -> torch.Tensor:
    half = tensor.to(torch.bfloat16)
    kept = half if torch.equal(half.to(tensor.dtype), tensor) else tensor.clone()
    return kept.cpu().pin_memory() if tensor.is_cuda else kept
