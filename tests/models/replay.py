"""What a CUDA graph does, on a CPU: a step's operations are recorded with the tensors they use, and replayed.

As with a graph, nothing of the step's Python runs again, and what waits for the device is an error while recording.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from audio_eval.models.hf.graphs import Graphs
from audio_eval.models.hf.policy import HFPolicy

WAITING = ("_local_scalar_dense", "nonzero", "unique", "masked_select", "equal.default", "allclose")
Step = Callable[[], None]


class Replay(TorchDispatchMode):
    """A ``graphs.Graph``: the operations that ran inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] | None = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(waiting in str(func) for waiting in WAITING):
            raise RuntimeError(f"{func}: operation not permitted when stream is capturing")
        out = func(*args, **(kwargs or {}))
        assert self.operations is not None
        self.operations.append((func, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        """Run the operations again on the same memory."""
        assert self.operations is not None, "the graph was freed"
        for func, args, kwargs, out in self.operations:
            if not func.is_view:
                tree_map(_write, func(*args, **kwargs), out)

    def reset(self) -> None:
        """Free it."""
        self.operations = None


def _write(again: Any, out: Any) -> None:
    if isinstance(out, torch.Tensor) and again.data_ptr() != out.data_ptr():
        out.copy_(again)


class Recorder:
    """A ``graphs.Recorder``. ``fails``: what capturing raises."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.made: list[Replay] = []
        self.fails = fails

    def warm_up(self, step: Step) -> None:
        """Run it."""
        step()

    def capture(self, step: Step) -> Replay:
        """Record it."""
        replay = Replay()
        with replay:
            step()
            if self.fails is not None:
                raise self.fails
        self.made.append(replay)
        return replay


def with_graphs(policy: HFPolicy, recorder: Recorder) -> Graphs:
    """Let a policy on a CPU decode as if its device had graphs."""
    decoding = policy.decoding
    decoding.graphs = decoding._memory._graphs = Graphs(recorder)
    return decoding.graphs
