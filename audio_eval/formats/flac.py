"""FLAC (RFC 9639): whether its last frame ends where the header says that the stream does.

libsndfile reads as many samples as the header counts, and none where a pipe left the count open.
"""

from __future__ import annotations

from collections.abc import Iterator

from audio_eval.formats.part import Unsound

_COUNT = slice(21, 26)  # of a file: four other bits, then the number of samples in 36 bits
_MOST_COUNT = (1 << 36) - 1
_TAIL = 1 << 20  # bytes from the end in which the last frames are looked for


def counted(data: bytes) -> bytes:
    """The file with its number of samples filled in where that was left open; ``Unsound`` where it is another one."""
    if len(data) < 42 or data[4] & 0x7F:
        return data  # no stream information: libsndfile will say so
    field = int.from_bytes(data[_COUNT], "big")
    declared = field & _MOST_COUNT
    behind: dict[int, int] = {}  # end of what looks like a frame, by its first sample
    for start, stop in _spans(data):
        if stop in behind or start == 0 or stop == declared:  # a frame, since another one or the stream's end follows
            last = behind.get(stop, stop)
            break
        behind[start] = stop
    else:
        return data
    if last == declared:
        return data
    if last < declared:
        raise Unsound.cut()
    if declared:
        raise Unsound("it goes on behind the end that its header declares; export it again")
    return data[: _COUNT.start] + (field | last).to_bytes(5, "big") + data[_COUNT.stop :]


def _spans(data: bytes) -> Iterator[tuple[int, int]]:
    """First sample and end of each frame, from the last one on, and of what looks like the header of one."""
    at, block = len(data), int.from_bytes(data[10:12], "big")
    while (at := data.rfind(b"\xff", max(42, len(data) - _TAIL), at)) >= 0:
        if span := _span(data[at : at + 16], block):
            yield span


def _span(head: bytes, block: int) -> tuple[int, int] | None:
    """First sample and end of the frame with this header; ``block`` is the size of all blocks but the last."""
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[3] & 1 or head[3] >> 4 > 10:
        return None
    size_code, rate_code = head[2] >> 4, head[2] & 15
    ones = 8 - (head[4] ^ 0xFF).bit_length()  # of the first byte of a number coded as UTF-8 codes one
    if size_code == 0 or rate_code == 15 or ones in (1, 8):
        return None
    number, at = head[4] & 0x7F >> ones, 5 + max(0, ones - 1)
    for byte in head[5:at]:
        number = number << 6 | byte & 0x3F
    more = {6: 1, 7: 2}.get(size_code, 0)
    if more:
        size = int.from_bytes(head[at : at + more], "big") + 1
    else:
        size = 192 if size_code == 1 else 576 << size_code - 2 if size_code < 6 else 256 << size_code - 8
    end = at + more + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if end >= len(head) or _crc8(head[:end]) != head[end]:
        return None
    start = number if head[1] & 1 else number * block
    return start, start + size


def _crc8(data: bytes) -> int:
    """The checksum of a frame's header, polynomial x^8 + x^2 + x + 1."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07) & 0xFF if value & 0x80 else value << 1
    return value
