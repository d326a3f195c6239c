"""CUDA graphs of decoding steps: what the host would launch kernel by kernel is launched as a whole.

A step reads and writes memory that stays where it is, so that it can be run again as it was captured. Steps of other
sizes are other keys. Where graphs are not to be had, ``reason`` says why, and steps run as they are.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Protocol

import torch

log = logging.getLogger(__name__)
MOST = 64  # graphs that are held; the least recently used one is freed first
Step = Callable[[], None]


class Graph(Protocol):
    """A captured step."""

    def replay(self) -> None:
        """Run it again."""
        ...

    def reset(self) -> None:
        """Free it."""
        ...


class Recorder(Protocol):
    """What captures steps: ``Capture``, or a test's."""

    def warm_up(self, step: Step) -> None:
        """Run a step as it will be captured."""
        ...

    def capture(self, step: Step) -> Graph:
        """The step, which has run before; it is not run again."""
        ...


class Graphs:
    """Runs steps by key: the first time as they are, then captured and replayed."""

    def __init__(self, recorder: Recorder | None, reason: str | None = None) -> None:
        self._recorder, self.reason = recorder, reason
        self._graphs: OrderedDict[Hashable, Graph | None] = OrderedDict()  # None: it has run once
        self.captured = self.replayed = 0

    def run(self, key: Hashable, step: Step) -> None:
        """The step of this key. It must do the same to the same memory each time."""
        if self._recorder is None:
            return step()
        try:
            graph = self._find(key, self._recorder, step)
        except RuntimeError as error:  # out of memory, or what a stream that captures cannot do
            self.give_up(f"a step could not be captured ({' '.join(str(error).split())[:150]})")
            return step()
        if graph is not None:
            graph.replay()
            self.replayed += 1

    def _find(self, key: Hashable, recorder: Recorder, step: Step) -> Graph | None:
        """The graph of a step; None where it was run for the first time, which most sizes need only once."""
        if key not in self._graphs:
            recorder.warm_up(step)
            graph = None
        else:
            graph = self._graphs.pop(key)
            if graph is None:
                graph = recorder.capture(step)
                self.captured += 1
        self._graphs[key] = graph
        if len(self._graphs) > MOST:
            _free(self._graphs.popitem(last=False)[1])
        return graph

    def drop(self) -> None:
        """Free all graphs: before weights or memory that they read are replaced."""
        if self._graphs and torch.cuda.is_available():
            torch.cuda.synchronize()  # the last one may still run
        while self._graphs:
            _free(self._graphs.popitem()[1])

    def give_up(self, reason: str) -> None:
        """Free all graphs and go on without; said once."""
        self.drop()
        if self._recorder is not None:
            log.warning("decoding goes on without CUDA graphs: %s.", reason)
        self._recorder, self.reason = None, reason
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _free(graph: Graph | None) -> None:
    if graph is not None:
        graph.reset()


class Capture:
    """Captures steps on a stream of its own, into a memory pool that its graphs share.

    They may share it because they run one at a time on one stream, and a step leaves nothing in the pool that is read
    after it: its result is copied to memory outside.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, step: Step) -> None:
        """On the stream that captures, so that libraries set up what they need for it (cuBLAS its workspace)."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                step()
        finally:
            current.wait_stream(self._stream)

    def capture(self, step: Step) -> Graph:
        """Threads that decode audio may use CUDA meanwhile (pinned memory), hence "thread_local"."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            step()
        return graph
