"""What becomes of a recording: a part that libsndfile reads whole, or the reason why it cannot be heard whole."""

from __future__ import annotations

from typing import NamedTuple


class Part(NamedTuple):
    """An encoded recording, and how many samples per channel it has where libsndfile does not know."""

    data: bytes
    samples: int | None = None


class Unsound(Exception):
    """A recording that cannot be heard whole: why, and what to do about it."""

    @classmethod
    def cut(cls) -> Unsound:
        """The file ends too early."""
        return cls("the file ends before its audio does (truncated); fetch it again")
