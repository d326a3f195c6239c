"""Formats that declare how many bytes their samples take: WAV, RF64, Wave64, AIFF, 8SVX, CAF and AU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from audio_eval.formats.part import Unsound

# What a program writes into a pipe, where it cannot come back to fill in the size: 0 or a number that no clip has, such
# as 0x7FFF0000, 0x7FFFF000 or 0xFFFFFFFF.
OPEN_SIZE = 2_000_000_000
# Some programs count the header or a byte of padding into the size of the samples. 2 ms of 16-bit audio at 16 kHz.
SLACK = 64
MOST_CHUNKS = 10_000


class Form(NamedTuple):
    """How a file is made of chunks, each an id, its size and its content."""

    first: int  # where the first chunk begins
    id_bytes: int
    size_bytes: int
    order: Literal["little", "big"]
    size_counts_head: bool
    align: int
    samples: tuple[bytes, ...]  # id of the chunk of samples: its first four bytes


_RIFF = Form(12, 4, 4, "little", False, 2, (b"data",))
FORMS = {
    b"RIFF": _RIFF,
    b"RF64": _RIFF,
    b"RIFX": _RIFF._replace(order="big"),
    b"FORM": Form(12, 4, 4, "big", False, 2, (b"SSND", b"BODY")),
    b"riff": Form(40, 16, 8, "little", True, 8, (b"data",)),  # Wave64
    b"caff": Form(8, 4, 8, "big", False, 1, (b"data",)),
}
_AU: dict[bytes, Literal["little", "big"]] = {b".snd": "big", b"dns.": "little"}
_MPEG_IN_WAV = (0x50, 0x55)  # format tags of MPEG layers I and II, and of layer III


@dataclass
class Samples:
    """Where the samples stand, and the field that declares their size in bytes."""

    start: int
    size: int
    field: int
    field_bytes: int
    order: Literal["little", "big"]
    counts: int = 0  # bytes of the chunk's head that the size counts
    stop: int = 0  # where they end in this file
    is_mpeg: bool = False
    was_open: bool = False


def find_samples(data: bytes) -> Samples | None:
    """The samples of a file of these formats, all of which are there; None for another format.

    Raises ``Unsound`` where the file ends before they do, and where it goes on behind them with what is no chunk.
    """
    magic = data[:4]
    form = FORMS.get(magic)
    if order := _AU.get(magic):
        start, size = (int.from_bytes(data[at : at + 4], order) for at in (4, 8))
        found = Samples(start, size, 8, 4, order)
    elif form:
        found = _walk(data, form)
    else:
        return None
    behind = found.start + found.size
    empty = found.size == 0 and (found.start >= len(data) or _is_chunk(data, form, found.start, whole=True))
    found.was_open = found.size + found.counts >= OPEN_SIZE or (found.size == 0 and not empty)
    found.stop = len(data) if found.was_open else min(behind, len(data))
    if behind - SLACK > len(data) and not found.was_open:
        raise Unsound.cut()
    if form and len(data[found.stop :].strip(b"\0")) > SLACK and not _is_chunk(data, form, found.stop, whole=False):
        raise Unsound("it goes on behind the end that its header declares; export it again")
    return found


def closed(data: bytes, found: Samples) -> bytes:
    """The file with the size of its samples filled in where that was left open."""
    if not found.was_open:
        return data
    size = (len(data) - found.start + found.counts).to_bytes(found.field_bytes, found.order)
    return b"".join((data[: found.field], size, data[found.field + found.field_bytes :]))


def _walk(data: bytes, form: Form) -> Samples:
    """The chunk of samples; its size and field are those of RF64's ``ds64`` where the chunk refers to it."""
    at, long_size, is_mpeg = form.first, None, False
    for _ in range(MOST_CHUNKS):
        start = at + form.id_bytes + form.size_bytes
        if start > len(data):
            break
        name, field = data[at : at + 4], at + form.id_bytes
        size = int.from_bytes(data[field:start], form.order)
        counts = start - at if form.size_counts_head else 0
        size = max(0, size - counts)
        if name in form.samples:
            found = Samples(start, size, field, form.size_bytes, form.order, counts, is_mpeg=is_mpeg)
            if long_size is not None and size == 0xFFFFFFFF:
                found.field, found.field_bytes = long_size, 8
                found.size = int.from_bytes(data[long_size : long_size + 8], form.order)
            return found
        if name == b"ds64":
            long_size = start + 8  # behind the size of the whole file
        if name == b"fmt " and form.samples == (b"data",):
            is_mpeg = int.from_bytes(data[start : start + 2], form.order) in _MPEG_IN_WAV
        at = start + size + -size % form.align
    raise Unsound("no chunk of samples where its header leads; fetch it again")


def _is_chunk(data: bytes, form: Form | None, at: int, whole: bool) -> bool:
    """Whether a chunk begins at ``at``, or behind padding there: an id of printable characters.

    ``whole``: all of its content must be there too, so that samples are not taken for one.
    """
    if form is None:
        return False
    for place in (at, at + -at % form.align):
        content = place + form.id_bytes + form.size_bytes
        size = int.from_bytes(data[place + form.id_bytes : content], form.order)
        if all(0x20 <= byte < 0x7F for byte in data[place : place + 4]) and (not whole or content + size <= len(data)):
            return content <= len(data)
    return False
