"""CRC-32 of what was written, so that damage is seen that leaves a record whole: against faults, not forgery."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from audio_eval.errors import UserError


def of_lines(lines: bytes) -> bytes:
    """The CRC-32 of each line, a line each."""
    return b"".join(b"%08x\n" % zlib.crc32(line) for line in lines.split(b"\n")[:-1])


def of_value(value: object) -> int:
    """The CRC-32 of a JSON value, whatever the order of its keys."""
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def with_checksum(value: dict[str, Any]) -> dict[str, Any]:
    """The object with the CRC-32 of the rest of it: see ``without_checksum``."""
    return {**value, "checksum": of_value(value)}


def without_checksum(value: Any, path: Path) -> Any:
    """What ``with_checksum`` was given, as ``path`` has it; ``UserError`` where it is another one by now.

    What was written before there were checksums is taken as it is.
    """
    if not isinstance(value, dict) or "checksum" not in value:
        return value
    told, rest = value["checksum"], {key: inner for key, inner in value.items() if key != "checksum"}
    if told != of_value(rest):
        raise UserError(f"'{path}' is damaged: it is not what was written.")
    return rest
