"""From the host to the device without waiting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def to_device(arrays: Sequence[np.ndarray], device: torch.device) -> list[torch.Tensor]:
    """Flat arrays of one dtype as tensors, in a single transfer that nothing waits for."""
    return list(pinned(arrays, device).to(device, non_blocking=True).split([len(array) for array in arrays]))


def pinned(arrays: Sequence[np.ndarray], device: torch.device) -> torch.Tensor:
    """The arrays end to end in host memory that ``device`` copies from by itself.

    PyTorch's allocator gives such memory to no one else before the copy is done.
    """
    sent = torch.from_numpy(np.concatenate(arrays))
    return sent.pin_memory() if device.type == "cuda" else sent
