"""Files that survive a kill: append and fsync for JSON lines, write beside and rename for everything else.

An error of the system (``OSError``) names the file.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

import psutil

from audio_eval.checksums import of_lines, sums_of, told_of, with_checksum
from audio_eval.errors import UserError
from audio_eval.json_text import BadJson, parse
from audio_eval.redact import without_known
from audio_eval.regular import check_writable, lines, read_regular

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def write_atomic(path: Path, content: bytes | Callable[[Path], object]) -> None:
    """Write a file so that readers and killed runs find the old one or the whole new one, never a part.

    ``content`` is the file's bytes, or a function that writes the file at the path it is given.
    """
    make_folder(path.parent)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    with _named(path):
        check_writable(path)
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


def write_output(path: Path, content: bytes | Callable[[Path], object]) -> None:
    """``write_atomic`` into a folder of few files, where what a killed process left of the same file goes as well."""
    for unfinished in left_by_a_kill(path.parent, f".{glob.escape(path.name)}"):
        unfinished.unlink(missing_ok=True)
    write_atomic(path, content)


def left_by_a_kill(folder: Path, pattern: str = ".*") -> Iterator[Path]:
    """Temporary files and folders of a process that is gone: ``pattern``, the number of the process, ``.tmp``."""
    for path in folder.glob(f"{pattern}.*.tmp"):
        number = path.name.split(".")[-2]
        if re.fullmatch(r"[0-9]{1,9}", number) and (
            int(number) == os.getpid() or not psutil.pid_exists(int(number))
        ):  # the own number: of a process in another container
            yield path


def make_folder(folder: Path) -> None:
    """Make a folder, with those above it, unless it is there; its name is on the disk then."""
    if folder.is_dir():
        return
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except RecursionError:  # a path of thousands of folders
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(folder)) from None
    for path in made:
        _sync(path.parent)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of the system name this file: that of a full disk, for one, names none."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename = str(path)
        raise


def write_folder_atomic(folder: Path, fill: Callable[[Path], object]) -> None:
    """Replace ``folder`` by what ``fill`` writes into the folder it is given, on the disk before the old one goes."""
    temporary = folder.with_name(f"{folder.name}.tmp")
    make_folder(folder.parent)
    with _named(folder):
        shutil.rmtree(temporary, ignore_errors=True)  # a killed run has left it
        temporary.mkdir()
        try:
            fill(temporary)
            _sync_tree(temporary)
        except BaseException:  # a full disk: what is half written goes
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
        _sync(folder.parent)


def place_folder(temporary: Path, folder: Path) -> None:
    """Give a folder its name, once all that is in it is on the disk."""
    _sync_tree(temporary)
    temporary.rename(folder)
    _sync(folder.parent)


def _sync_tree(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        _sync(path)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if os.name == "nt" and path.is_dir():  # Windows cannot open a folder
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL or not path.is_dir():  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(handle)


def write_json(path: Path, value: object, summed: bool = False) -> None:
    """Write a JSON file atomically, without the secrets that are known; ``summed``: an object, with its checksum."""
    value = with_checksum(json.loads(_json(value))) if summed else value  # of what is written, secrets gone
    write_output(path, (_json(value, indent=1) + "\n").encode())


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
    """An append-only file of records. A line torn by a kill is dropped when the file is opened for more.

    To readers a damaged line is an error that names it; the owner of the file may cut it back (``mend``). With
    ``summed`` a hidden file beside it has the CRC-32 of each line; the owner then calls ``mend`` before it adds to it.
    """

    def __init__(self, path: Path, summed: bool = False) -> None:
        self.path, self._sums = path, sums_of(path) if summed else None

    def read(self) -> list[dict]:
        """Every whole record; ``UserError`` names the line that is damaged."""
        return list(self)

    def __iter__(self) -> Iterator[dict]:
        return (self._record(line, number) for number, line in enumerate(self._whole(), 1) if line)

    def check(self, all_summed: bool = False) -> None:
        """``UserError`` that names the first line that is not what was written, or is gone, where it has a checksum;
        ``all_summed``: also one that has none.
        """
        if not self._sums:
            return
        told = told_of(self._sums)
        found = of_lines(b"".join(line + b"\n" for line in self._whole())).split()
        for number, (own, before) in enumerate(zip_longest(found, told) if told != found else (), 1):
            if own != before and (before is not None or all_summed):
                raise UserError(f"'{self.path}' is damaged: line {number} is not what was written.")

    def seal(self) -> None:
        """Give the file, as it is, its checksums, unless it has some."""
        if self._sums and self.path.is_file() and not self._sums.is_file():
            write_atomic(self._sums, of_lines(b"".join(line + b"\n" for line in self._whole())))

    def append(self, records: Iterable[object]) -> None:
        """Add records in one write and wait until they are on the disk."""
        data = _lines(records)
        make_folder(self.path.parent)
        _append(self.path, data)
        if self._sums:
            _append(self._sums, of_lines(data))

    def keep(self, records: Iterable[object]) -> None:
        """Make the file hold exactly these records."""
        self._keep(_lines(records))

    def _keep(self, data: bytes) -> None:
        if not self._sums:
            return write_atomic(self.path, data)
        self._sums.unlink(missing_ok=True)  # lines without a checksum are taken as they are
        write_atomic(self.path, data)
        write_atomic(self._sums, of_lines(data))

    def mend(self, check: Callable[[Any], object]) -> str | None:
        """Cut the file back to the records before the first that is damaged: no JSON, refused by ``check`` with any
        error, or not what was written. Returns what was wrong, as a sentence, or None. A torn last line, which a kill
        leaves, is no damage.
        """
        whole = self._whole()
        found = of_lines(b"".join(line + b"\n" for line in whole)) if self._sums else b""
        told = self._sums.read_bytes() if self._sums and self._sums.is_file() else b""
        for number, (line, own, before) in enumerate(zip_longest(whole, found.split(), told.split(b"\n")[:-1]), 1):
            if line is None:  # the file was cut between two lines
                break
            try:
                if line:
                    check(parse(line, texts=False))
                if before not in (None, own):
                    raise ValueError("it is not what was written")
            except Exception as error:
                self._keep(b"".join(kept + b"\n" for kept in whole[: number - 1]))
                reason = " ".join(str(error).split())[:120] or type(error).__name__
                return f"'{self.path}' was damaged in line {number} ({reason}); what follows there is done again"
        if self._sums and told != found:
            write_atomic(self._sums, found)
        return None

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


def _append(path: Path, data: bytes) -> None:
    """Add whole lines to a file, in place of a torn last one, and wait until they are on the disk."""
    with _named(path):
        check_writable(path)
        new = not path.exists()
        _drop_torn_line(path)
        with path.open("ab") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if new:
            _sync(path.parent)


def _drop_torn_line(path: Path) -> None:
    if not path.is_file() or not path.stat().st_size:
        return
    with path.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        if stream.read() != b"\n":
            stream.seek(0)
            stream.truncate(stream.read().rfind(b"\n") + 1)


def _lines(records: Iterable[object]) -> bytes:
    return "".join(_json(record) + "\n" for record in records).encode()


def _json(value: object, indent: int | None = None) -> str:
    """JSON that UTF-8 can hold, without known secrets: lone surrogates, as of a file name in latin-1, are escaped."""
    text = without_known(json.dumps(value, ensure_ascii=False, indent=indent))
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
