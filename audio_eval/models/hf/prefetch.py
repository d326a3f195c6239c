"""Work done ahead in threads: results in order, a bound on what is ready and not used yet, no hanging."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    items: Iterable[T], work: Callable[[T], R], size: Callable[[T], float], bound: float, threads: int = 1
) -> Generator[tuple[T, R], None, None]:
    """Yield ``(item, work(item))`` in the order of ``items``; ``threads`` work ahead of the consumer.

    The items that are begun and not yet consumed have a summed ``size`` of at most ``bound``, or are a single item.
    With 0 threads each item is worked on when it is due. An exception of ``work`` is raised when its item is due. The
    threads are daemons and stop when the generator is closed, so neither an error nor Ctrl-C has to wait for them.
    """
    if not threads:
        yield from ((item, work(item)) for item in items)
        return
    tasks: SimpleQueue[tuple[T, Future[R]] | None] = SimpleQueue()
    stopped = threading.Event()

    def serve() -> None:
        while (task := tasks.get()) is not None and not stopped.is_set():
            item, future = task
            try:
                future.set_result(work(item))
            except BaseException as error:  # the consumer must learn of every error, or it waits for ever
                future.set_exception(error)

    for _ in range(threads):
        threading.Thread(target=serve, daemon=True, name="audio-eval-prefetch").start()
    source, pending = iter(items), deque[tuple[T, float, Future[R]]]()
    coming = next(source, None)

    def begin() -> None:
        nonlocal coming
        while coming is not None and (not pending or sum(s for _, s, _ in pending) + size(coming) <= bound):
            future: Future[R] = Future()
            pending.append((coming, size(coming), future))
            tasks.put((coming, future))
            coming = next(source, None)

    try:
        begin()
        while pending:
            item, _, future = pending.popleft()
            result = future.result()
            begin()  # now and not at the next request, so that the threads work while the consumer does
            yield item, result
    finally:
        stopped.set()
        for _ in range(threads):
            tasks.put(None)
