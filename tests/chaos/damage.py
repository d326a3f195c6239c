"""Kinds of damage to the bytes of a file; None is a file that is lost."""

from __future__ import annotations

from collections.abc import Callable


def halfway(data: bytes) -> int:
    """A place in the middle."""
    return max(1, len(data) // 2)


DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "lost": lambda data: None,
    "emptied": lambda data: b"",
    "cut": lambda data: data[: halfway(data)],
    "garbage in the middle": lambda data: data[: halfway(data)] + b"\x00\xff{[\n" + data[halfway(data) + 5 :],
    "a letter": lambda data: data[: halfway(data)] + bytes([data[halfway(data)] ^ 1]) + data[halfway(data) + 1 :],
    "another form": lambda data: b"[1]\n" + data[4:],
}
