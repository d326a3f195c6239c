"""What two runs must have in common, of which one was disturbed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from audio_eval.store import read_json

# times, the command, the name of the folder, and a page of all that
APART = {"result.json", "env.json", "sessions.jsonl", ".sessions.jsonl.crc", "report.html", ".lock"}
HEARD = rb'"(audio_seconds|state\.json)": [\d.]+'


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that must come out the same, by its path in the run directory."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in APART]
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    # how much audio this process has heard is for the progress bar; the file's checksum of itself follows from it
    return {p: re.sub(HEARD, b"", c) if p.endswith("state.json") else c for p, c in found.items()}


def row(folder: Path) -> dict[str, Any]:
    """The result without the time and the audio of the sessions, and without its name."""
    result = read_json(folder / "result.json")
    result.pop("checksum", None)
    for key in ("wall_s", "audio_seconds", "run"):  # the first two are of what was not killed
        result["audio_eval"].pop(key, None)
    return result


def difference(found: Path, whole: Path) -> str | None:
    """Where two run directories differ, or None."""
    if not (found / "result.json").is_file():
        return "no result.json"
    ours, theirs = contents(found), contents(whole)
    if differing := sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)):
        return f"differing files: {differing}"
    return None if row(found) == row(whole) else "differing figures"
