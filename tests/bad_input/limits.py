"""What every case is held to: it ends within seconds, in what was asked for or in an error of one line."""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from audio_eval.errors import UserError

T = TypeVar("T")
SECONDS = 15


class Hang(BaseException):
    """The time is over. Not an Exception: code that catches all of these must not catch it."""


@contextmanager
def within(seconds: float = SECONDS) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hang(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def outcome(call: Callable[[], T]) -> T | str:
    """What a call gives, or the one line that it ends with; any other error goes on to the test."""
    with within():
        try:
            return call()
        except UserError as error:
            said = str(error)
    shown = " ".join(said.split())
    assert shown and len(shown) < 10_000, f"{len(shown)} characters of a message"
    return shown


def run(call: Callable[[], Any]) -> str | None:
    """The one line that a call ends with; None where it ends well."""
    found = outcome(call)
    return found if isinstance(found, str) else None


def peak_mib() -> float:
    """The most memory that this process has had so far."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)
