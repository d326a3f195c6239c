"""How many requests are under way at once: as many as the server bears (additive increase, multiplicative decrease)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

FIRST = 8  # requests that are sent at once before anything is known of the server


class Limiter:
    """A window of at most ``most`` requests, as TCP has one (Jacobson 1988, "Congestion Avoidance and Control").

    Until the first setback every answer widens it by one, which doubles it in the time of an answer; after that a
    whole window of answers does. A setback halves it, though not again for requests that began before the last one.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.window = float(min(FIRST, most))
        self._busy, self._setbacks = 0, 0
        self._paused_until = 0.0
        self._changed = Condition()

    @contextmanager
    def slot(self) -> Iterator[int]:
        """Wait until another request may be sent. Yields the number of setbacks so far, for ``setback``."""
        with self._changed:
            while (left := self._paused_until - time.monotonic()) > 0 or self._busy >= int(self.window):
                self._changed.wait(left if left > 0 else None)
            self._busy += 1
            seen = self._setbacks
        try:
            yield seen
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def success(self) -> None:
        """A request was answered."""
        with self._changed:
            self.window = min(self.window + (1 / self.window if self._setbacks else 1.0), self.most)
            self._changed.notify_all()

    def setback(self, seen: int, pause_s: float = 0.0) -> None:
        """The server could not keep up with a request whose ``slot`` yielded ``seen``; it asks for ``pause_s``."""
        with self._changed:
            self._paused_until = max(self._paused_until, time.monotonic() + pause_s)
            if seen == self._setbacks:
                self._setbacks += 1
                self.window = max(self.window / 2, 1.0)
