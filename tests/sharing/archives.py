"""Archives that are not what ``export`` writes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

Files = dict[str, bytes]


def files_of(path: Path) -> Files:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, contents: Files, listed: Files | None = None, **manifest: Any) -> Path:
    """An archive of these files whose manifest is right, but for what is given."""
    told = json.loads(contents["manifest.json"])
    entries = {k: v for k, v in (listed or contents).items() if k != "manifest.json"}
    told["files"] = {k: {"sha256": sha256(v).hexdigest(), "bytes": len(v)} for k, v in entries.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**contents, "manifest.json": json.dumps({**told, **manifest}).encode()}.items():
            archive.writestr(name, content)
    return path


def edited(source: Path, path: Path, name: str, edit: Callable[[Any], Any]) -> Path:
    """The archive with one file changed: a JSON value, or a list of the lines' values."""
    files = files_of(source)
    if name.endswith(".jsonl"):
        records = edit([json.loads(line) for line in files[name].splitlines()])
        files[name] = "".join(json.dumps(record) + "\n" for record in records).encode()
    else:
        files[name] = json.dumps(edit(json.loads(files[name]))).encode()
    return write(path, files)
