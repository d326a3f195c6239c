"""CRC-32 of what was written, so that damage is seen that leaves a record whole: against faults, not forgery."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from audio_eval.errors import UserError
from audio_eval.regular import read_regular

_KEY = "checksum"


def of_lines(lines: bytes) -> bytes:
    """The CRC-32 of each line, a line each."""
    return b"".join(b"%08x\n" % zlib.crc32(line) for line in lines.split(b"\n")[:-1])


def sums_of(path: Path) -> Path:
    """The hidden file beside a file of lines that has the CRC-32 of each."""
    return path.with_name(f".{path.name}.crc")


def told_of(sums: Path) -> list[bytes]:
    """The whole lines of such a file, none where there is none; ``UserError`` where it cannot be read."""
    try:
        return read_regular(sums).split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"'{sums}' cannot be read: {error.strerror}.") from None


def of_value(value: object) -> int:
    """The CRC-32 of a JSON value, whatever the order of its keys."""
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def is_summed(value: object) -> bool:
    """Whether a JSON value was written by ``with_checksum``."""
    return isinstance(value, dict) and _KEY in value


def with_checksum(value: dict[str, Any]) -> dict[str, Any]:
    """The object with the CRC-32 of the rest of it: see ``without_checksum``."""
    return {**value, _KEY: of_value(value)}


def without_checksum(value: Any, path: Path, verified: bool = True) -> Any:
    """What ``with_checksum`` was given, as ``path`` has it; ``UserError`` where ``verified``, and it is another by now.

    What was written before there were checksums is taken as it is, and what a hand took its checksum out of. A checksum
    under another name is none of that: the name is damaged.
    """
    if not isinstance(value, dict) or not value:
        return value
    key = _KEY if _KEY in value else next(reversed(value))  # it is written last
    rest = {name: inner for name, inner in value.items() if name != key}
    if key != _KEY and (type(value[key]) is not int or value[key] != of_value(rest)):
        return value
    if verified and (key != _KEY or value[key] != of_value(rest)):
        raise UserError(f"'{path}' is damaged: it is not what was written.")
    return rest
