"""Official files: a benchmark's .json or .jsonl in its authors' layout, below ``--data-dir``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from audio_eval.data.records import Place
from audio_eval.data.sources import Convert, Loaded, convert_rows
from audio_eval.errors import NotHere, UserError
from audio_eval.json_text import BadJson, NotUtf8, parse, parse_list
from audio_eval.regular import MAX_TEXT_BYTES, lines, open_regular

Rows = Iterator[tuple[Place, Any]]
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Files:
    """``D/folder/file``, whose rows ``convert`` turns into records. ``audio`` is the audio folder ("" for text only).

    ``file`` may name several files, which are read in that order; messages then say the file of a row.
    """

    folder: str
    file: str | tuple[str, ...]
    audio: str
    convert: Convert

    @property
    def names(self) -> tuple[str, ...]:
        """The files' names."""
        return (self.file,) if isinstance(self.file, str) else self.file

    @property
    def layout(self) -> str:
        """What ``--data-dir D`` must hold."""
        home = f"D/{self.folder}" if self.folder else "D"
        file = self.names[0] if len(self.names) == 1 else f"{{{','.join(self.names)}}}"
        return f"{home}/{file}" + (f" and {home}/{self.audio}/" if self.audio else "")

    def held(self, data_dir: str) -> bool:
        """Whether the folder has one of the files."""
        return any((Path(data_dir) / self.folder / name).is_file() for name in self.names)

    def read(self, data_dir: str | None) -> Loaded:
        """The records. ``UserError`` where a file is missing, ``DataError`` with all broken rows."""
        if not data_dir:
            raise NotHere(f"this task reads files of yours: pass --data-dir D, a folder that holds {self.layout}.")
        root = Path(data_dir) / self.folder
        digests: dict[str, str] = {}
        several = len(self.names) > 1
        rows = (
            (place._replace(file=name if several else ""), values)
            for name in self.names
            for place, values in _rows(root / name, self.layout, digests)
        )
        records = convert_rows(rows, root, self.convert, str(root if several else root / self.names[0]))
        return Loaded(records, files={f"{self.folder}/{name}".lstrip("/"): digests[name] for name in self.names})


def read_rows(path: Path, layout: str = "") -> Iterator[tuple[str, Any]]:
    """Each row with its place: "line 3" of JSON lines, "item 3" (from 1) of a JSON list; else ``UserError``.

    Which of them it is says the first character, not the name. In place of a row that is no JSON stands a ``BadJson``,
    which ``SourceRow`` reports.
    """
    return ((str(place), values) for place, values in _rows(path, layout, {}, listed=_is_list(path)))


def _is_list(path: Path) -> bool | None:
    """Whether a file begins as a JSON list; None where it cannot be read."""
    try:
        with open_regular(path) as file:
            return (file.read(4096) or b"").removeprefix(_BOM).lstrip()[:1] == b"["
    except OSError:
        return None


def _rows(path: Path, layout: str, digests: dict[str, str], listed: bool | None = None) -> Rows:
    """The rows. After the last one the sha256 of the bytes that were read is put into ``digests``.

    ``listed``: whether the file is a JSON list; None: as its name says.
    """
    digest = sha256()
    listed = path.suffix != ".jsonl" if listed is None else listed

    def read() -> Iterator[bytes]:
        # One line at a time, because UltraFeedback's files are hundreds of megabytes.
        for line in lines(path):
            digest.update(line)
            yield line

    try:
        yield from _items(path, read()) if listed else _lines(path, read())
    except FileNotFoundError:
        hint = f"; --data-dir D must hold {layout}" if layout else ""
        raise NotHere(f"no file {path}{hint}.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    digests[path.name] = digest.hexdigest()


def _lines(path: Path, read: Iterable[bytes]) -> Rows:
    for number, line in enumerate(read, 1):
        text = line.removeprefix(_BOM) if number == 1 else line
        if text.strip():
            row: Any
            try:
                row = parse(text)
            except NotUtf8 as error:
                raise UserError(f"{path} cannot be read: line {number}: {error}.") from None
            except BadJson as error:
                row = error
            yield Place("line", number), row


def _items(path: Path, read: Iterable[bytes]) -> Rows:
    with open_regular(path, MAX_TEXT_BYTES):  # all of it is in memory at once
        data = b"".join(read).removeprefix(_BOM)
    try:
        rows = parse_list(data)
    except BadJson as error:
        raise UserError(f"{path} is not JSON: {error}; fetch the official file again.") from None
    if rows is None:
        raise UserError(f"{path} is not a JSON list of items; fetch the official file again.")
    yield from ((Place("item", number), row) for number, row in enumerate(rows, 1))
