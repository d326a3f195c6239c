"""The stored copy of a hub data set: a folder that counts only if it has a manifest, which is written last."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from audio_eval.cache import cache_root, written
from audio_eval.json_text import parse
from audio_eval.regular import read_regular
from audio_eval.store import write_atomic

MANIFEST = "manifest.json"
ROWS = "rows.jsonl"


def home(repo: str, part: str) -> Path:
    """Where copies of a part of a data set are stored, one folder per revision."""
    return cache_root() / "hub" / repo.replace("/", "--") / part


def newest(parent: Path) -> Kept | None:
    """The latest complete copy, for when the hub cannot be asked for the current commit."""
    whole = [kept for folder in parent.glob("*") if (kept := Kept(folder)).manifest().get("commit")]
    return max(whole, key=lambda kept: (kept.folder / MANIFEST).stat().st_mtime, default=None)


@dataclass(frozen=True)
class Kept:
    """The copy of one revision, a folder of the cache."""

    folder: Path

    def manifest(self) -> dict[str, Any]:
        """Facts about the copy; empty where it is not complete."""
        try:
            found = parse(read_regular(self.folder / MANIFEST))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def seal(self, **facts: Any) -> None:
        """Mark the copy as complete."""
        with written():
            write_atomic(self.folder / MANIFEST, json.dumps(facts, indent=1, sort_keys=True).encode())

    def rows(self) -> list[dict[str, Any]] | None:
        """The rows that ``keep_rows`` stored; None where they are not complete."""
        try:
            data = (self.folder / ROWS).read_bytes()
        except OSError:
            return None
        if self.manifest().get("rows") != sha256(data).hexdigest():
            return None
        return [json.loads(line) for line in data.split(b"\n") if line]

    def keep_rows(self, rows: Iterable[dict[str, Any]], **facts: Any) -> list[dict[str, Any]]:
        """Store the rows and seal the folder, unless reading them raises; returns the rows as stored."""
        lines = [json.dumps(row, ensure_ascii=False, default=str).encode() for row in rows]
        data = b"".join(line + b"\n" for line in lines)
        with written():
            write_atomic(self.folder / ROWS, data)
        self.seal(**facts, rows=sha256(data).hexdigest(), count=len(lines))
        return [json.loads(line) for line in lines]
