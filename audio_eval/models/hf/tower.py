"""The revision of the audio tower that encoded a clip: the checkpoint's, or a new one whenever training changed it."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from audio_eval.models.hf.checkpoint import Checkpoint

CHANGED = "+"  # between the checkpoint's revision and the count of changes


def writes(weights: Iterable[torch.Tensor]) -> tuple[tuple[int, int], ...]:
    """A fingerprint that changes when any weight changes or is replaced.

    PyTorch counts every in-place write to a tensor; an optimizer step and a loaded state are such writes.
    """
    return tuple((weight.data_ptr(), weight._version) for weight in weights)


class TowerRevision:
    """Names the state of the weights that turn audio into embeddings."""

    def __init__(self) -> None:
        self._seen: tuple[tuple[int, int], ...] | None = None
        self._changes = 0

    def of(self, checkpoint: Checkpoint, frozen: bool) -> str:
        """The name of the present state. A ``frozen`` tower has the checkpoint's revision."""
        name = f"{checkpoint.revision}/{checkpoint.head.weight.dtype}"
        if frozen:
            return name
        modules = checkpoint.family.audio_modules(checkpoint.model)
        seen = writes(parameter for module in modules for parameter in module.parameters())
        if seen != self._seen:
            self._seen, self._changes = seen, self._changes + 1
        return f"{name}{CHANGED}{self._changes}"
