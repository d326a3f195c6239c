"""A checkpoint of a training as a folder whose ``state.json`` has checksums: of its files, of what its steps logged.

By CRC-32, against faults and not forgery. What is damaged is a ``ValueError`` that says what of it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audio_eval.checksums import of_value
from audio_eval.errors import UserError
from audio_eval.regular import open_regular
from audio_eval.store import read_json, write_json

STATE, _SUMS = "state.json", "sums"


def saved(folder: Path) -> list[Path]:
    """The checkpoints in ``folder``, whole or damaged, the last one at the end."""
    return sorted(path for path in folder.glob("step-*") if path.suffix != ".tmp")


def seal(folder: Path, state: Mapping[str, Any]) -> None:
    """Write ``state`` into a checkpoint, as its last file, with checksums of it and of all other files."""
    sums = {name: _of_file(path) for name, path in sorted(_files(folder).items())}
    write_json(folder / STATE, {**state, _SUMS: {**sums, STATE: of_value(state)}})


def is_sealed(folder: Path) -> bool:
    """Whether a folder is a checkpoint that was written with checksums, as far as its state can be read."""
    try:
        return _SUMS in read_json(folder / STATE)
    except (UserError, OSError, TypeError):
        return False


def unseal(folder: Path) -> dict[str, Any]:
    """The state of a checkpoint that is whole."""
    state, sums = _read(folder)
    files = _files(folder)
    for name, told in sums.items():
        if name != STATE and (name not in files or told != _of_file(files[name])):
            raise ValueError(f"{name} is not as it was written")
    return state


def state_of(folder: Path) -> dict[str, Any]:
    """The state of a checkpoint; its other files are not looked at, as there may be gigabytes."""
    return _read(folder)[0]


def check_logs(state: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """``ValueError`` where what the steps logged is not what it was when the checkpoint with this state was made.

    ``state["logs"]`` has the size and the CRC-32 of each of ``files``, by name; what was written before that was
    recorded is taken as it is.
    """
    for name, (size, told) in state.get("logs", {}).items():
        if not files[name].is_file() or _of_beginning(files[name], size) != told:
            raise ValueError(f"{files[name].name} is not what its steps logged")


def _of_file(path: Path) -> int:
    return _of_beginning(path, path.stat().st_size)


def _of_beginning(path: Path, left: int) -> int:
    """The CRC-32 of so many bytes."""
    found = 0
    with open_regular(path) as file:
        while block := file.read(min(left, 2**20)):
            found, left = zlib.crc32(block, found), left - len(block)
    return found


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What state.json holds, whole by its own checksum, and those of the files."""
    try:
        state = dict(read_json(folder / STATE))
        sums = dict(state.pop(_SUMS))
        _, told = int(state["step"]), sums[STATE]
    except (UserError, OSError, TypeError, ValueError, KeyError):
        raise ValueError(f"{STATE} cannot be read") from None
    if told != of_value(state):
        raise ValueError(f"{STATE} is not as it was written")
    return state, sums


def _files(folder: Path) -> dict[str, Path]:
    """The files of a checkpoint by name: none that a name in ``state.json`` leads to elsewhere."""
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
