"""Progress of a run, on stderr: a bar on a terminal, a line now and then elsewhere, nothing by default."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Bar:
    """Counts items and audio seconds; subclasses show them."""

    def advance(self, items: int, audio_seconds: float = 0.0, **metrics: float) -> None:
        """So many more items are done."""


class Progress:
    """Gives out bars. This one is silent."""

    @contextmanager
    def bar(self, label: str, total: int, done: int = 0) -> Iterator[Bar]:
        """A bar over ``total`` items of which ``done`` were done before."""
        yield Bar()

    def warn(self, text: str) -> None:
        """Something the user should know now."""
