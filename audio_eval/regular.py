"""Regular files of a bounded size: what cannot be read to its end, or only in gigabytes, is refused before it is read.

A name in somebody's metadata or on a command line may be that of a pipe, a device, a folder or a file of /proc. Reading
one may never end, so each is an ``OSError`` that says what it is, like a file that is not there.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from audio_eval.errors import UserError

# Of a text that is read whole: JSON, YAML, a template. Parsed, it may take twenty times as much.
MAX_TEXT_BYTES = 64 * 2**20
MAX_LINE_BYTES = 64 * 2**20

# Folders below one that a user names. A walk of as many takes some seconds, one of a whole disk minutes.
MAX_FOLDERS = 20_000

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@contextmanager
def open_regular(path: Path | str, most: int | None = None) -> Iterator[BinaryIO]:
    """The file, open for reading. ``OSError`` where it is no regular file, or larger than ``most`` bytes.

    The open file is looked at, not its name, so that it cannot be replaced in between; and opening waits for no writer.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            kind = next((name for is_kind, name in _KINDS if is_kind(found.st_mode)), "something else")
            raise OSError(errno.EINVAL, f"it is {kind}, no regular file", str(path))
        if most is not None and found.st_size > most:
            raise OSError(errno.EFBIG, f"it is larger than {most >> 20} MiB", str(path))
        with os.fdopen(handle, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(handle)


def check_writable(path: Path) -> None:
    """``OSError`` where ``path`` cannot become a regular file: a pipe or a device stands there, or a link to one.

    A rename would put the file in the place of a device (``-o /dev/null``), and to open a pipe waits for its other end.
    """
    special = path.exists() and not (path.is_file() or path.is_dir())
    if special or not path.name or path.absolute().parent == Path("/dev"):  # /dev/stdout may lead to a regular file
        raise OSError(errno.EINVAL, "no regular file can be written there", str(path))


def read_regular(path: Path | str, most: int = MAX_TEXT_BYTES) -> bytes:
    """All bytes of a file; ``OSError`` as ``open_regular`` raises it.

    Files of /proc have the size 0 whatever they give: no more is read than the file says that it holds.
    """
    with open_regular(path, most) as file:
        return file.read(os.fstat(file.fileno()).st_size) or b""  # one of /proc may have nothing to give now


def leads_out(folder: Path | str) -> Path | None:
    """A link at or below a folder that leads out of it, such as one to a key or to somebody's notes, or a pipe or a
    device, whose reading may never end; None for none.

    The folder itself may be a link. ``OSError`` where it cannot be listed.
    """
    top, waiting = os.path.realpath(folder), [os.fspath(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_symlink() and not os.path.realpath(entry.path).startswith(top + os.sep):
                    return Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif not (entry.is_file(follow_symlinks=False) or entry.is_symlink()):
                    return Path(entry.path)
    return None


def lines(path: Path | str) -> Iterator[bytes]:
    """The lines of a file, each with its line feed, which alone ends one (a text may contain U+2028).

    ``OSError`` as ``open_regular`` raises it, and at a line of more than ``MAX_LINE_BYTES``.
    """
    with open_regular(path) as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise OSError(errno.EFBIG, f"line {number} is longer than {MAX_LINE_BYTES >> 20} MiB", str(path))
            yield line


def walk(top: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Folders at and below ``top`` as ``os.walk`` gives them; ``UserError`` where there are too many to look into."""
    for number, found in enumerate(os.walk(top)):
        if number >= MAX_FOLDERS:
            raise UserError(f"'{top}' holds more than {MAX_FOLDERS} folders: name one that is nearer to what you mean.")
        yield found
