"""A target of the fuzzer, and what its functions share.

A function returns where the bytes are read, and where they are refused as they should be: by an error that the user
sees as one line (``read``). Whatever else it raises is a finding.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from audio_eval.errors import as_user_error

MESSAGE = 10_000  # characters of one line


@dataclass(frozen=True)
class Target:
    """``seeds`` are whole inputs, ``words`` what texts of this kind are made of; both are only to begin with."""

    call: Callable[[bytes], object]
    seeds: Callable[[], Iterator[bytes]]
    words: tuple[str, ...] = ()
    longest: int = 4096  # bytes of an input
    instrumented: tuple[str, ...] = ("audio_eval",)  # packages whose branches are watched


def read(call: Callable[[], Any]) -> Any:
    """What a call gives; None where it ends in an error that the user sees as one line."""
    try:
        return call()
    except Exception as error:
        seen = as_user_error(error)
        if seen is None:
            raise
        said = " ".join(str(seen).split())
        assert said and len(said) < MESSAGE, f"{len(said)} characters of a message"
        return None


@lru_cache(maxsize=1)
def folder() -> Path:
    """A folder of this process, in memory where the system has such."""
    memory = Path("/dev/shm")
    made = tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory if memory.is_dir() else None)
    _FOLDERS.append(made)
    return Path(made.name)


_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []
