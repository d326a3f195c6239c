"""Jobs in threads whose results come in the order of the jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import TypeVar

T = TypeVar("T")


def in_parallel(jobs: Sequence[Callable[[], T]], workers: int, stopped: Event) -> list[T]:
    """The result of every job, in order; the first error of a job is raised.

    ``stopped`` is set when this returns, raises or is interrupted: jobs should then end early. The threads are daemons,
    so that a run that stops does not wait for a slow server.
    """
    todo, lock = iter(enumerate(jobs)), Lock()
    done: SimpleQueue[tuple[int, T | None, BaseException | None]] = SimpleQueue()

    def work() -> None:
        while not stopped.is_set():
            with lock:
                place, job = next(todo, (-1, None))
            if job is None:
                return
            try:
                done.put((place, job(), None))
            except BaseException as error:
                done.put((place, None, error))

    for _ in range(min(workers, len(jobs))):
        Thread(target=work, daemon=True).start()
    results: list[T | None] = [None] * len(jobs)
    try:
        for _ in jobs:
            place, results[place], error = done.get()
            if error is not None:
                raise error
    finally:
        stopped.set()
    return results  # type: ignore[return-value]
