"""Files that survive a kill: append and fsync for JSON lines, write beside and rename for everything else."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from audio_eval.errors import UserError
from audio_eval.redact import without_known

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def write_atomic(path: Path, content: bytes | Callable[[Path], object]) -> None:
    """Write a file so that readers and killed runs find the old one or the whole new one, never a part.

    ``content`` is the file's bytes, or a function that writes the file at the path it is given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if isinstance(content, bytes):
            temporary.write_bytes(content)
        else:
            content(temporary)
        _sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def write_folder_atomic(folder: Path, fill: Callable[[Path], object]) -> None:
    """Replace ``folder`` by what ``fill`` writes into the folder it is given.

    Files and folders are on the disk before the old folder goes.
    """
    temporary = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)  # a killed run has left it
    temporary.mkdir(parents=True)
    try:
        fill(temporary)
    except BaseException:  # a full disk: what is half written goes
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    for path in [*temporary.rglob("*"), temporary]:
        _sync(path)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    _sync(folder.parent)


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


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if os.name == "nt" and path.is_dir():  # Windows cannot open a folder
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: object) -> None:
    """Write a JSON file atomically, without the secrets that are known."""
    write_atomic(path, (_json(value, indent=1) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file; ``UserError`` where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"'{path}' is damaged: {error}.") from None


class JsonLines:
    """An append-only file of records. A line torn by a kill is dropped when the file is opened for more."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict]:
        """Every whole record; ``UserError`` names the line that is damaged."""
        if not self.path.is_file():
            return []
        whole = self.path.read_bytes().rpartition(b"\n")[0]
        return [self._record(line, number) for number, line in enumerate(whole.split(b"\n"), 1) if line]

    def append(self, records: Iterable[object]) -> None:
        """Add records in one write and wait until they are on the disk."""
        data = _lines(records)
        self._drop_torn_line()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())

    def keep(self, records: Sequence[object]) -> None:
        """Make the file hold exactly these records."""
        write_atomic(self.path, _lines(records))

    def _record(self, line: bytes, number: int) -> Any:
        try:
            return json.loads(line)
        except ValueError as error:
            raise UserError(f"'{self.path}' is damaged: line {number} is no JSON ({error}).") from None

    def _drop_torn_line(self) -> None:
        if not self.path.is_file() or not self.path.stat().st_size:
            return
        with self.path.open("r+b") as stream:
            stream.seek(-1, os.SEEK_END)
            if stream.read() != b"\n":
                stream.seek(0)
                stream.truncate(stream.read().rfind(b"\n") + 1)

    def resume(self, chunk: int, ids: Sequence[str]) -> list[dict]:
        """The records of whole chunks of ``ids``; what a kill left of an unfinished chunk is taken out of the file.

        ``UserError``, and the file stays as it is, where its records are not those of ``ids`` in their order.
        """
        records = self.read()
        for place, (record, id_) in enumerate(zip(records, [*ids, *[None] * len(records)], strict=False), start=1):
            if record["id"] != id_:
                due = f"'{id_}' is asked there now" if id_ else f"only {len(ids)} are asked now"
                raise UserError(
                    f"'{self.path}' was made for other questions: record {place} is of '{record['id']}', and {due}. "
                    "Nothing was changed: put the items back as they were, or start anew in another directory."
                )
        keep = len(records) if len(records) == len(ids) else len(records) - len(records) % chunk
        if keep < len(records):
            self.keep(records[:keep])
        return records[:keep]


def _lines(records: Iterable[object]) -> bytes:
    return "".join(_json(record) + "\n" for record in records).encode()


def _json(value: object, indent: int | None = None) -> str:
    """JSON that UTF-8 can hold, without known secrets: a lone surrogate, which any text may have, is escaped."""
    text = without_known(json.dumps(value, ensure_ascii=False, indent=indent))
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
