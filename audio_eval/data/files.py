"""Official files: a benchmark's .json or .jsonl in its authors' layout, below ``--data-dir``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from audio_eval.data.records import Place
from audio_eval.data.sources import Convert, Loaded, convert_rows
from audio_eval.errors import NotHere, UserError

Rows = Iterator[tuple[Place, Any]]


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

    Which of them it is says the first character, not the name. A line that is not JSON is given as text, which
    ``SourceRow`` reports.
    """
    return ((str(place), values) for place, values in _rows(path, layout, {}, listed=_is_list(path)))


def _is_list(path: Path) -> bool | None:
    """Whether a file begins as a JSON list; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["
    except OSError:
        return None


def _rows(path: Path, layout: str, digests: dict[str, str], listed: bool | None = None) -> Rows:
    """The rows. After the last one the sha256 of the bytes that were read is put into ``digests``.

    ``listed``: whether the file is a JSON list; None: as its name says.
    """
    digest = sha256()
    listed = path.suffix != ".jsonl" if listed is None else listed

    def lines() -> Iterator[bytes]:
        # Binary, because only a line feed may end a line (a text may contain U+2028). One line at a time, because
        # UltraFeedback's files are hundreds of megabytes.
        with path.open("rb") as file:
            for line in file:
                digest.update(line)
                yield line

    try:
        yield from _items(path, b"".join(lines())) if listed else _lines(lines())
    except FileNotFoundError:
        hint = f"; --data-dir D must hold {layout}" if layout else ""
        raise NotHere(f"no file {path}{hint}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None
    digests[path.name] = digest.hexdigest()


def _lines(lines: Iterable[bytes]) -> Rows:
    for number, line in enumerate(lines, 1):
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        if text.strip():
            yield Place("line", number), _line(text)


def _line(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return line


def _items(path: Path, data: bytes) -> Rows:
    try:
        rows = json.loads(data.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not JSON: {error}; fetch the official file again.") from None
    if not isinstance(rows, list):
        raise UserError(f"{path} is not a JSON list of items; fetch the official file again.")
    yield from ((Place("item", number), row) for number, row in enumerate(rows, 1))
