"""The run directories that are shown: what each is called in an address, in what state it is, when it has changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from audio_eval.errors import UserError
from audio_eval.leaderboard.runs import Run, apart, read_run, run_folders
from audio_eval.owner import owner_of
from audio_eval.runlog import RunLog, RunSpec
from audio_eval.runlog.spec import ResponsesSpec

Status = tuple[str, str, list[tuple[str, int, int]]]  # of some files of a folder, to tell whether they have changed
State = Literal["under way", "finished", "interrupted", "left out"]


@dataclass(frozen=True)
class Directory:
    """A run directory. ``run`` is None unless it is in the tables; ``why`` says of one left out, in a sentence, why.

    ``spec`` is None where it cannot be read.
    """

    key: str
    folder: Path
    state: State
    run: Run | None = None
    spec: RunSpec | ResponsesSpec | None = None
    why: str = ""


class Directories:
    """The run directories among and below ``paths``, looked for anew each time, as runs begin while they are shown."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._read: dict[Path, tuple[Status, Run | str]] = {}

    def folders(self) -> dict[str, Path]:
        """Folders by key: a digest of the place, so that an address stays while others come and go."""
        try:
            found = run_folders(self._paths)
        except UserError:  # a folder that was there at the beginning is gone
            found = run_folders(path for path in self._paths if path.is_dir())
        return {_key(folder): folder for folder in found if RunLog(folder).begun or RunLog(folder).finished}

    def read(self) -> list[Directory]:
        """Every one with its run; those under way first."""
        folders = self.folders()
        runs = apart([(folder, self._run(folder)) for folder in folders.values()])
        found = [_directory(key, folder, run) for key, (folder, run) in zip(folders, runs, strict=True)]
        return sorted(found, key=lambda directory: directory.state != "under way")

    def _run(self, folder: Path) -> Run | str:
        """The run as it was read before, if none of its files has changed."""
        now = records(folder)
        if folder not in self._read or self._read[folder][0] != now:
            self._read[folder] = now, read_run(folder)
        return self._read[folder][1]


def stamp(*parts: object) -> str:
    """A short text that is another whenever one of ``parts`` is, as those of ``records``, ``result`` and ``state``."""
    return sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()[:24]


def state(folder: Path) -> State:
    """Whether a run has ended, and if not, whether somebody is at it."""
    if RunLog(folder).finished:
        return "finished"
    return "under way" if owner_of(folder) else "interrupted"


def records(folder: Path) -> Status:
    """The files that a run has written of itself, but for pages and weights."""
    names = [os.path.join(below, name) for below in ("", "adapt") for name in _names(folder / below)]
    kinds = (".json", ".jsonl")
    return str(folder), state(folder), _status(folder, [name for name in names if name.endswith(kinds)])


def result(folder: Path) -> Status:
    """The files that say what a run was and what came out."""
    return str(folder), state(folder), _status(folder, ("spec.json", "result.json", "reported.json"))


def _key(folder: Path) -> str:
    return sha256(os.fsencode(folder.resolve())).hexdigest()[:12]


def _directory(key: str, folder: Path, run: Run | str) -> Directory:
    now = state(folder)
    try:
        spec = RunLog(folder).spec()
    except (UserError, OSError):
        spec = None
    if isinstance(run, Run):
        return Directory(key, folder, "finished", run, spec)
    if spec is None or now == "finished":  # damaged, or the same as another
        return Directory(key, folder, "left out", None, spec, run)
    return Directory(key, folder, now, None, spec, run)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _status(folder: Path, names: Iterable[str]) -> list[tuple[str, int, int]]:
    """Name, size and time of the last change of the files that are there."""
    found = []
    for name in names:
        try:
            known = (folder / name).stat()
        except OSError:
            continue
        found.append((name, known.st_size, known.st_mtime_ns))
    return found
