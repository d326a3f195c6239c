"""A command of audio-eval in a forked child: the imports are paid for once, and a child may be killed anywhere."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree")
PIPE = 2**20  # bytes of stderr that nobody has read yet
GROWS = ("os.fsync", "open", "os.mkdir", "os.rename")  # what a full disk refuses; removing goes on


@dataclass(frozen=True)
class Ended:
    """How a command ended; a negative code is a signal."""

    code: int
    said: str


def watch(folder: Path, seen: Callable[[str, str], object]) -> None:
    """Call ``seen`` before each operation of this process that changes what is on the disk below ``folder``."""
    root = os.path.realpath(folder)

    def below(path: Any) -> str | None:
        text = os.path.abspath(os.fsdecode(path)) if isinstance(path, str | bytes | os.PathLike) else ""
        return text if text == root or text.startswith(root + os.sep) else None

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        path = below(arguments[0]) if event in CHANGES or writes else None
        if path and not path.endswith((".lock", ".owner")):
            seen(event, path)

    fsync = os.fsync

    def watched(handle: int) -> None:
        if path := below(os.readlink(f"/proc/self/fd/{handle}")):
            seen("os.fsync", path)
        fsync(handle)

    os.fsync = watched
    sys.addaudithook(hook)


def record(folder: Path, out: Path) -> Callable[[], None]:
    """Write each operation below ``folder`` into ``out``, a line each."""

    def before() -> None:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        watch(folder, lambda event, path: os.write(handle, (json.dumps([event, path]) + "\n").encode()))

    return before


def kill_at(folder: Path, number: int, fraction: float) -> Callable[[], None]:
    """SIGKILL before operation ``number`` (from 0); of what a file had not synced only ``fraction`` is left."""

    def before() -> None:
        count, sizes = -1, {}  # type: int, dict[str, int]

        def seen(event: str, path: str) -> None:
            nonlocal count
            count += 1
            size = os.path.getsize(path) if os.path.isfile(path) else 0
            if count == number:
                if event == "os.fsync" and os.path.isfile(path):
                    safe = sizes.get(path, 0)
                    os.truncate(path, safe + int((size - safe) * fraction))
                os.kill(os.getpid(), signal.SIGKILL)
            if event in ("os.fsync", "open"):
                sizes[path] = size

        watch(folder, seen)

    return before


def full_from(folder: Path, number: int) -> Callable[[], None]:
    """The disk is full from operation ``number`` on: nothing grows any more."""

    def before() -> None:
        count = -1

        def seen(event: str, path: str) -> None:
            nonlocal count
            count += 1
            if count >= number and event in GROWS:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

        watch(folder, seen)

    return before


def largest_file(size: int) -> Callable[[], None]:
    """No file may grow beyond ``size`` bytes, by the system itself."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


class Child:
    """A command that goes on; ``wait`` ends it, and leaves in the file ``said`` what it wrote to stderr."""

    def __init__(self, argv: list[str], said: Path, before: Callable[[], None] | None = None) -> None:
        self._said, self._began = said, time.monotonic()
        self._errors, errors = os.pipe()  # a limit on files does not hold for it
        fcntl.fcntl(errors, fcntl.F_SETPIPE_SZ, PIPE)
        self.pid = os.fork()
        if self.pid:
            os.close(errors)
            return
        code = 70
        try:
            os.dup2(errors, 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            # those of the parent may be of files, in which one can seek
            sys.stdout, sys.stderr = (open(number, "w", 1, closefd=False) for number in (1, 2))  # noqa: SIM115
            if before:
                before()
            from audio_eval.cli.main import main

            code = main(argv)
            sys.stderr.flush()
        except BaseException:  # what main lets through is what a user would see as a traceback
            import traceback

            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)

    def sleep(self, seconds: float) -> bool:
        """Wait so long, or until it has ended; whether it still goes on."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return False
            time.sleep(0.01)
        return True

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self, limit: float = 90) -> Ended:
        """Its end; what takes longer than ``limit`` seconds is a hang: killed, with a code of its own."""
        hangs = self.sleep(limit)
        if hangs:
            self.kill()
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.set_blocking(self._errors, False)  # a process of the child's may still have its end
        with open(self._errors, "rb", buffering=0) as stream:
            said = (stream.read(PIPE) or b"").decode(errors="replace")
        self._said.write_text(said)
        return Ended(124 if hangs else code, said)
