"""Pages that are drawn when they are asked for, one at a time, and kept until what they are made of has changed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

KEPT = 8  # pages, of a few megabytes each


class Drawn:
    """Texts by name, each with the stamp of what it was made of."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        self._lock = Lock()

    def page(self, name: str, stamp: str, draw: Callable[[], str]) -> bytes:
        """The page as UTF-8; ``draw`` is called unless it was drawn with this stamp."""
        with self._lock:  # two of the same are drawn once, and pages leave a run the other cores
            known = self._kept.get(name)
            if known is None or known[0] != stamp:
                known = self._kept[name] = stamp, draw().encode()
                if len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(name)
            return known[1]
