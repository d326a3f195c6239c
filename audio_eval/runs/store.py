"""Files that survive a kill: append + fsync for JSON lines, temp + rename for everything else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically: readers see the old file or the new one, never half of it."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(value, stream, indent=1, ensure_ascii=False)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


class JsonLines:
    """An append-only file of records. A line torn by a kill is dropped when the file is opened for more."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict]:
        """Every whole record."""
        if not self.path.is_file():
            return []
        whole = self.path.read_bytes().rpartition(b"\n")[0]
        return [json.loads(line) for line in whole.split(b"\n") if line]

    def append(self, records: Iterable[object]) -> None:
        """Add records in one write and wait until they are on the disk."""
        self._drop_torn_line()
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())

    def keep(self, records: Sequence[object]) -> None:
        """Make the file hold exactly these records."""
        temporary = self.path.with_name(self.path.name + ".tmp")
        temporary.unlink(missing_ok=True)  # a kill has left it
        JsonLines(temporary).append(records)
        temporary.replace(self.path)

    def _drop_torn_line(self) -> None:
        if not self.path.is_file() or not self.path.stat().st_size:
            return
        with self.path.open("r+b") as stream:
            stream.seek(-1, os.SEEK_END)
            if stream.read() != b"\n":
                stream.seek(0)
                stream.truncate(stream.read().rfind(b"\n") + 1)

    def resume(self, chunk: int, total: int) -> list[dict]:
        """The records of whole chunks, with what a kill left of an unfinished one taken out of the file."""
        records = self.read()
        keep = len(records) if len(records) >= total else len(records) - len(records) % chunk
        if self.path.exists():
            self.keep(records[:keep])
        return records[:keep]
