"""One process owns a run directory: others are told who, and what a killed owner left is removed."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from audio_eval.errors import UserError
from audio_eval.regular import read_regular
from audio_eval.store import left_by_a_kill


@contextmanager
def lock_dir(folder: Path) -> Iterator[None]:
    """Own ``folder`` while the block runs; ``UserError`` that names the owner where another process has it."""
    lock, owner = FileLock(folder / ".lock"), folder / ".owner"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = owner_of(folder) or "another process"
        raise UserError(f"'{folder}' is in use by {who}: wait for it to end, or choose another --output.") from None
    try:
        owner.unlink(missing_ok=True)  # a killed owner's; a stranger's may be a link or a pipe
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        for unfinished in left_by_a_kill(folder, "**/.*"):
            unfinished.unlink(missing_ok=True)
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def tidy(folder: Path) -> None:
    """Remove what a killed owner left in a folder where nothing is to be done any more, if nobody has it now and it
    can be written.
    """
    if (folder / ".owner").exists() or any(left_by_a_kill(folder, "**/.*")):
        with suppress(UserError, OSError), lock_dir(folder):
            pass


def owner_of(folder: Path) -> str | None:
    """Who owns ``folder`` by what it says itself; None where nobody does, or a process of this machine that is gone.

    It leaves the lock alone, which somebody may be about to take.
    """
    owner = folder / ".owner"
    try:
        told = "" if owner.is_symlink() else read_regular(owner, 1 << 20).decode(errors="replace")[:200]
    except OSError:
        return None
    known = re.fullmatch(r"process (\d{1,9}) on (.*)", told)
    gone = known and known[2] == socket.gethostname() and not psutil.pid_exists(int(known[1]))
    return None if gone else told or None
