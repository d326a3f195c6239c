"""MPEG audio frames: how many there are, whatever the file says of it.

An MP3 file has no header. Its first frame may be a tag (Xing, Info or VBRI) that counts the others; without one the
length is estimated by libsndfile from the first frames' size, wrong where the bit rate varies.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from audio_eval.formats.part import Part, Unsound

_RATES = (44_100, 48_000, 32_000)  # Hz, of version 1
_KBPS = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # version 1
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # versions 2 and 2.5
)
_SAME = 0xFFFE_0C00  # sync, version, layer, rate: what all frames of a stream share
_JUNK = 65_536  # bytes to look for the next frame in
_MOST_BYTES = 40_000  # of a second: 320 kbit/s
_MOST_JUNK = 16 * 2**20  # bytes that may be no frames: tags with pictures at the end, padding
_MOST_ID3 = 1_000  # tags one behind the other
_PADDING = re.compile(rb"\0*")
_TAGS = {b"Xing": 8, b"Info": 8, b"VBRI": 14}  # where in the tag the number of frames stands


class Frame(NamedTuple):
    """Where a frame stands, and its 32-bit header."""

    at: int
    size: int
    word: int


def after_id3(data: bytes, at: int) -> int:
    """Where what follows the ID3v2 tags at ``at`` begins (https://id3.org/id3v2.4.0-structure)."""
    for _ in range(_MOST_ID3):
        if data[at : at + 3] != b"ID3" or len(data[at : at + 10]) < 10:
            break
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 0x7F
        at += 10 + size + (10 if data[at + 5] & 0x10 else 0)
    return min(at, len(data))


def without_tags(data: bytes) -> bytes:
    """The data behind the ID3v2 tags that they begin with, and behind the padding of these."""
    at = 0
    for _ in range(_MOST_ID3):
        if (behind := after_id3(data, at)) == at:
            break
        at = _PADDING.match(data, behind).end()  # type: ignore[union-attr]  # matches any place
    return data[at:]


def begins(data: bytes) -> bool:
    """Whether the data begin with the sync of an MPEG audio frame."""
    return len(data) > 4 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0


def counted(data: bytes, most_seconds: float) -> Part:
    """A stream of MPEG layer III, of which as many samples are to be read as its frames have.

    Where a tag declares that number, the stream stays as it is: the tag may also say how many samples at both ends the
    encoder has added. Raises ``Unsound`` for another layer, a longer stream, and where the last frames are missing.
    """
    if len(data) > most_seconds * _MOST_BYTES + _MOST_JUNK:  # before its frames are counted
        raise _too_long(most_seconds)
    frames, is_cut = _frames(data, most_seconds)
    if not frames:
        raise Unsound("no frame of MPEG layer III with a constant or variable bit rate; convert it to WAV")
    first = frames[0]
    tag, declared = _tag(data[first.at : first.at + first.size])
    present = len(frames) - tag
    if declared == present:
        return Part(data)
    # some encoders count the frame of the tag too
    if is_cut or (declared is not None and present < declared - 1):
        raise Unsound.cut()
    if not present:
        raise Unsound("it holds no samples; fetch it again or leave the item out")
    samples, rate = _samples(first.word) * present, _rate(first.word)
    if samples > most_seconds * rate:
        raise _too_long(most_seconds)
    audio = frames[tag:]
    joined = b"".join(data[frame.at : frame.at + frame.size] for frame in audio)
    # libsndfile reads as far as size / size of the first frame says: with the padding far enough
    return Part(joined.ljust((present + 2) * (audio[0].size + 1), b"\0"), samples)


def _frames(data: bytes, most_seconds: float = math.inf) -> tuple[list[Frame], bool]:
    """All frames, and whether the last one is incomplete (and left out). Tags and junk between frames are skipped.

    ``Unsound`` for more than a stream of ``most_seconds`` has.
    """
    frames: list[Frame] = []
    at, kind = 0, None
    while at + 4 <= len(data):
        word = int.from_bytes(data[at : at + 4], "big")
        size = _size(word) if kind is None or word & _SAME == kind else 0
        if size and (kind is not None or _follows(data, at + size, word & _SAME)):
            if at + size > len(data):
                return frames, True
            kind = word & _SAME
            frames.append(Frame(at, size, word))
            if (len(frames) - 2) * _samples(word) > most_seconds * _rate(word):
                raise _too_long(most_seconds)
            at += size
        elif (behind := after_id3(data, at)) > at:
            at = behind
        elif (found := _next(data, at + 1, kind)) is not None:
            at = found
        else:
            break
    return frames, False


def _next(data: bytes, at: int, kind: int | None) -> int | None:
    """Where a frame begins that another one follows."""
    stop = min(len(data), at + _JUNK)
    while 0 <= (at := data.find(b"\xff", at, stop)) < stop:
        word = int.from_bytes(data[at : at + 4], "big")
        if (size := _size(word)) and kind in (None, word & _SAME) and _follows(data, at + size, word & _SAME):
            return at
        at += 1
    return None


def _follows(data: bytes, at: int, kind: int) -> bool:
    """Whether a frame of this kind begins at ``at``, or the data end there."""
    word = int.from_bytes(data[at : at + 4], "big")
    return at == len(data) or (word & _SAME == kind and _size(word) > 0)


def _size(word: int) -> int:
    """Bytes of the frame of layer III with this header; 0 for what is no such header, and for a free bit rate."""
    version, kbps, rate = word >> 19 & 3, word >> 12 & 15, word >> 10 & 3
    if word >> 21 != 0x7FF or version == 1 or word >> 17 & 3 != 1 or kbps in (0, 15) or rate == 3:
        return 0
    bits = 144_000 * _KBPS[0][kbps] if _version_1(word) else 72_000 * _KBPS[1][kbps]
    return bits // _rate(word) + (word >> 9 & 1)


def _version_1(word: int) -> bool:
    return word >> 19 & 3 == 3


def _samples(word: int) -> int:
    """Samples per channel of a frame."""
    return 1152 if _version_1(word) else 576


def _too_long(most_seconds: float) -> Unsound:
    return Unsound(f"longer than the limit of {most_seconds:g} s; cut it into clips")


def _rate(word: int) -> int:
    """Samples per second: those of version 1, half of them in version 2, a quarter in 2.5."""
    return _RATES[word >> 10 & 3] >> {3: 0, 2: 1, 0: 2}[word >> 19 & 3]


def _tag(frame: bytes) -> tuple[bool, int | None]:
    """Whether a frame is a tag, and the number of frames that it declares."""
    for name, offset in _TAGS.items():
        at = frame.find(name)
        if 0 < at <= 40:
            has_count = name == b"VBRI" or frame[at + 7] & 1
            return True, int.from_bytes(frame[at + offset : at + offset + 4], "big") if has_count else None
    return False, None
