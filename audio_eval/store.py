"""Files that survive a kill: append and fsync for JSON lines, write beside and rename for everything else."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from audio_eval.errors import UserError
from audio_eval.json_text import BadJson, parse
from audio_eval.redact import without_known
from audio_eval.regular import lines, read_regular


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
    write_atomic(path, (without_known(json.dumps(value, indent=1, ensure_ascii=False)) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file; ``UserError`` where it is damaged, or no file to read."""
    try:
        return parse(read_regular(path), texts=False)
    except BadJson as error:
        raise UserError(f"'{path}' is damaged: {error}.") from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"'{path}' cannot be read: {error.strerror}.") from None


class JsonLines:
    """An append-only file of records. A line torn by a kill is dropped when the file is opened for more."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict]:
        """Every whole record; ``UserError`` names the line that is damaged."""
        return [self._record(line, number) for number, line in enumerate(self._whole(), 1) if line]

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

    def _whole(self) -> list[bytes]:
        """The lines that end with a newline."""
        if not self.path.is_file():
            return []
        try:
            return [line[:-1] for line in lines(self.path) if line.endswith(b"\n")]
        except OSError as error:
            raise UserError(f"'{self.path}' cannot be read: {error.strerror}.") from None

    def _record(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record = parse(line, texts=False)
        except BadJson as error:
            raise UserError(f"'{self.path}' is damaged: line {number} is no JSON ({error}).") from None
        if not isinstance(record, dict):
            raise UserError(f"'{self.path}' is damaged: line {number} is no JSON object.")
        return record

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
            if (there := record.get("id")) != id_:
                due = f"'{id_}' is asked there now" if id_ else f"only {len(ids)} are asked now"
                raise UserError(
                    f"'{self.path}' was made for other questions: record {place} is of '{there!s:.80}', and {due}. "
                    "Nothing was changed: put the items back as they were, or start anew in another directory."
                )
        keep = len(records) if len(records) == len(ids) else len(records) - len(records) % chunk
        if keep < len(records):
            self.keep(records[:keep])
        return records[:keep]


def _lines(records: Iterable[object]) -> bytes:
    return without_known("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)).encode()
