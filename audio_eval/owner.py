"""Who owns a folder of runs' files: one process at a time, whose lock goes with it and whose name stands beside it."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from audio_eval.errors import UserError


@contextmanager
def lock_dir(folder: Path) -> Iterator[None]:
    """Own ``folder`` while the block runs; ``UserError`` that names the owner where another process has it."""
    lock, owner = FileLock(folder / ".lock"), folder / ".owner"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        holder = owner.read_text() if owner.is_file() else "another process"
        raise UserError(f"'{folder}' is in use by {holder}: wait for it to end, or choose another --output.") from None
    try:
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        for unfinished in folder.rglob(".*.tmp"):  # a killed owner's
            unfinished.unlink()
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def owner_of(folder: Path) -> str | None:
    """Who owns ``folder`` by what it says itself; None where nobody does, or a process of this machine that is gone.

    It leaves the lock alone, which somebody may be about to take.
    """
    try:
        told = (folder / ".owner").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    known = re.fullmatch(r"process (\d{1,9}) on (.*)", told)
    if known and known[2] == socket.gethostname() and not psutil.pid_exists(int(known[1])):
        return None
    return told
