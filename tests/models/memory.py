"""Counts the memory of tensors: of those that operations make while it is on, those that are alive and the most."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Memory(TorchDispatchMode):
    """``live`` and ``peak`` are bytes of storages. What was there before, and is written to in place, does not count,
    nor does what an operation uses inside.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: dict[int, int] = {}

    def __torch_dispatch__(self, operation: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        self._see((args, kwargs), made=False)
        out = operation(*args, **(kwargs or {}))
        self._see(out, made=True)
        return out

    def _see(self, tensors: Any, made: bool) -> None:
        for tensor in tree_leaves(tensors):
            if isinstance(tensor, torch.Tensor) and (key := tensor.untyped_storage()._cdata) not in self._known:
                self._known[key] = tensor.untyped_storage().nbytes() if made else 0
                self.live += self._known[key]
                weakref.finalize(tensor.untyped_storage(), self._gone, key)
        self.peak = max(self.peak, self.live)

    def _gone(self, key: int) -> None:
        self.live -= self._known.pop(key)
